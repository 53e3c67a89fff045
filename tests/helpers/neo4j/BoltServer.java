import java.nio.file.Files;
import java.nio.file.Path;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.BoltConnector;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.dbms.api.DatabaseManagementService;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;

/**
 * Serves Neo4j's Bolt on the loopback interface until standard input ends or the process is terminated.
 * Arguments: home folder, port, password of the user neo4j (empty: no authentication).
 */
public class BoltServer {
    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]);
        SocketAddress address = new SocketAddress("127.0.0.1", Integer.parseInt(args[1]));
        String password = args.length > 2 ? args[2] : "";
        boolean fresh = !Files.exists(home.resolve("data"));
        DatabaseManagementService service = new DatabaseManagementServiceBuilder(home)
                .setConfig(BoltConnector.enabled, true)
                .setConfig(BoltConnector.listen_address, address)
                .setConfig(BoltConnector.advertised_address, address)
                .setConfig(GraphDatabaseSettings.auth_enabled, !password.isEmpty())
                .build();
        Runtime.getRuntime().addShutdownHook(new Thread(service::shutdown));
        if (fresh && !password.isEmpty()) {
            // The first password must be changed before anything else is allowed; over Bolt this would be
            // ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO ...
            service.database("system")
                    .executeTransactionally(
                            "ALTER USER neo4j SET PASSWORD $password CHANGE NOT REQUIRED",
                            java.util.Map.of("password", password));
        }
        System.out.println("READY");
        System.out.flush();
        while (System.in.read() >= 0) {
            // The starter writes nothing; the end of the stream means that it is gone.
        }
        System.exit(0);
    }
}
