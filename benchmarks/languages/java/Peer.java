import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.neo4j.driver.AuthTokens;
import org.neo4j.driver.Config;
import org.neo4j.driver.Driver;
import org.neo4j.driver.GraphDatabase;
import org.neo4j.driver.Record;
import org.neo4j.driver.Result;
import org.neo4j.driver.Session;
import org.neo4j.driver.Value;
import org.neo4j.driver.Values;

/** The official Java driver: {@code java Peer <port> <name> <count>} prints units per second. */
public final class Peer {
    private static final String UNWIND = "UNWIND $rows AS row CREATE (n:Person) SET n = row";
    private static final int NOT_APPLICABLE = 3;
    private static final double WARM_SECONDS = 6;

    /** Does so many units. */
    private interface Work {
        void run(int count);
    }

    private Peer() {}

    private static List<Map<String, Object>> people(int count) {
        Random random = new Random(3);
        List<Map<String, Object>> rows = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            Map<String, Object> row = new HashMap<>();
            row.put("id", i);
            row.put("name", String.format("person-%06d", i));
            row.put("age", i % 90);
            row.put("score", random.nextDouble());
            row.put("active", i % 2 == 0);
            row.put("city", "Oslo");
            row.put("email", "p" + i + "@example.org");
            row.put("since", 1_500_000_000 + i);
            row.put("rank", i % 7);
            row.put("note", "x".repeat(20));
            row.put("ok", true);
            rows.add(row);
        }
        return rows;
    }

    private static void check(int seen, int count) {
        if (seen != count) {
            throw new IllegalStateException(seen + " came out where " + count + " went in");
        }
    }

    private static Work fetch(Session session, String shape) {
        return count -> {
            List<Record> records = session.run("FETCH " + shape + " " + count).list();
            check(records.size(), count);
            if (records.get(count - 1).get(0).isNull()) {
                throw new IllegalStateException("no value");
            }
        };
    }

    private static Work batches(Session session, String shape) {
        return count -> {
            Result result = session.run("FETCH " + shape + " " + count);
            int seen = 0;
            while (result.hasNext()) {
                if (!result.next().get(0).isNull()) {
                    seen++;
                }
            }
            check(seen, count);
        };
    }

    private static Work unwind(Session session) {
        // Converted once, for all statements.
        Value parameters = Values.parameters("rows", people(1000));
        return count -> {
            for (int done = 0; done < count; done += 1000) {
                session.run(UNWIND, parameters).consume();
            }
        };
    }

    private static Work tiny(Session session) {
        Work one = fetch(session, "int");
        return count -> {
            for (int i = 0; i < count; i++) {
                one.run(1);
            }
        };
    }

    private static Work choose(Session session, String name) {
        String[] words = name.split(" ", 2);
        return switch (words[0]) {
            case "fetch" -> fetch(session, words[1]);
            case "batches" -> batches(session, words[1]);
            case "unwind" -> unwind(session);
            case "tiny" -> name.equals("tiny one by one") ? tiny(session) : null;
            default -> null;
        };
    }

    private static String environment(String name, String fallback) {
        String value = System.getenv(name);
        return value == null ? fallback : value;
    }

    public static void main(String[] arguments) {
        String name = arguments[1];
        int count = Integer.parseInt(arguments[2]);
        // list() asks for all rows whatever the fetch size is; a reader that keeps none is paced by it.
        long fetchSize = Long.parseLong(environment("FETCH_SIZE", "-1"));
        Config config = Config.builder().withFetchSize(fetchSize).withoutEncryption().build();
        String uri = "bolt://127.0.0.1:" + arguments[0];
        var auth = AuthTokens.basic(environment("BOLT_USER", "neo4j"), environment("BOLT_PASSWORD", "password"));
        try (Driver driver = GraphDatabase.driver(uri, auth, config);
                Session session = driver.session()) {
            Work work = choose(session, name);
            if (work == null) {
                System.exit(NOT_APPLICABLE);
            }
            int portion = Math.min(count, Math.max(1000, count / 5000 * 1000));
            // The compiler needs to have seen it for some seconds.
            long end = System.nanoTime() + (long) (WARM_SECONDS * 1e9);
            do {
                work.run(portion);
            } while (System.nanoTime() < end);
            long start = System.nanoTime();
            work.run(count);
            double elapsed = (System.nanoTime() - start) / 1e9;
            System.out.println(count / elapsed);
        }
    }
}
