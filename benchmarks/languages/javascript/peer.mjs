// The official JavaScript driver: node peer.mjs <port> <name> <count> prints units per second.
import neo4j from "neo4j-driver";

const UNWIND = "UNWIND $rows AS row CREATE (n:Person) SET n = row";
const NOT_APPLICABLE = 3;

// Plain numbers instead of the driver's own Integer objects, and one PULL for everything: what users choose who
// want speed.
const settings = {
  encrypted: "ENCRYPTION_OFF",
  disableLosslessIntegers: true,
  fetchSize: Number(process.env.FETCH_SIZE ?? -1),
};

function people(count) {
  return Array.from({ length: count }, (_, i) => ({
    id: i,
    name: `person-${String(i).padStart(6, "0")}`,
    age: i % 90,
    score: Math.random(),
    active: i % 2 === 0,
    city: "Oslo",
    email: `p${i}@example.org`,
    since: 1_500_000_000 + i,
    rank: i % 7,
    note: "x".repeat(20),
    ok: true,
  }));
}

function check(seen, count) {
  if (seen !== count) throw new Error(`${seen} came out where ${count} went in`);
}

async function fetch(session, shape, count) {
  const { records } = await session.run(`FETCH ${shape} ${count}`);
  check(records.length, count);
  if (records[count - 1].get(0) === undefined) throw new Error("no value");
}

// An observer gets the records as they come; `for await` costs a promise for each.
function batches(session, shape, count) {
  return new Promise((resolve, reject) => {
    let seen = 0;
    session.run(`FETCH ${shape} ${count}`).subscribe({
      onNext: (record) => {
        if (record.get(0) !== undefined) seen += 1;
      },
      onCompleted: () => resolve(seen),
      onError: reject,
    });
  }).then((seen) => check(seen, count));
}

async function unwind(session, rows, count) {
  for (let done = 0; done < count; done += rows.length) await session.run(UNWIND, { rows });
}

async function tiny(session, count) {
  for (let i = 0; i < count; i++) {
    const { records } = await session.run("FETCH int 1");
    check(records.length, 1);
  }
}

function choose(session, name) {
  const [kind, ...rest] = name.split(" ");
  const shape = rest.join(" ");
  if (kind === "fetch") return (count) => fetch(session, shape, count);
  if (kind === "batches") return (count) => batches(session, shape, count);
  if (name === "unwind") {
    // Numbers of JavaScript go out as floats, unless they are wrapped.
    const rows = people(1000).map((row) => ({
      ...row,
      id: neo4j.int(row.id),
      age: neo4j.int(row.age),
      since: neo4j.int(row.since),
      rank: neo4j.int(row.rank),
    }));
    return (count) => unwind(session, rows, count);
  }
  if (name === "tiny one by one") return (count) => tiny(session, count);
  return null;
}

const [port, name, number] = process.argv.slice(2);
const count = Number(number);
const auth = neo4j.auth.basic(process.env.BOLT_USER ?? "neo4j", process.env.BOLT_PASSWORD ?? "password");
const driver = neo4j.driver(`bolt://127.0.0.1:${port}`, auth, settings);
const session = driver.session();
const work = choose(session, name);
if (work === null) process.exit(NOT_APPLICABLE);
// So that the compiler has seen it.
const end = performance.now() + 1500;
do await work(Math.min(count, Math.max(1000, Math.floor(count / 5000) * 1000)));
while (performance.now() < end);
const start = performance.now();
await work(count);
const elapsed = (performance.now() - start) / 1000;
await session.close();
await driver.close();
console.log(count / elapsed);
