//! The crate `neo4rs`: `neo4rs <port> <name> <count>` prints units per second. Bolt 4.4 at most.

use std::time::Instant;

use asyncbolt_peers::{Arguments, Field, Outcome, UNWIND, Workload, check, person, statement};
use neo4rs::{BoltMap, BoltString, BoltType, ConfigBuilder, Graph, Row, query};

/// Its buffer holds this many rows from the start.
const FETCH_SIZE: usize = 10_000;

fn people() -> BoltType {
    let row = |i| {
        let mut map = BoltMap::default();
        for (key, field) in person(i) {
            let value: BoltType = match field {
                Field::Integer(value) => value.into(),
                Field::Float(value) => value.into(),
                Field::Boolean(value) => value.into(),
                Field::Text(value) => value.into(),
            };
            map.put(BoltString::from(key), value);
        }
        BoltType::Map(map)
    };
    (0..1000).map(row).collect::<Vec<BoltType>>().into()
}

async fn fetch(graph: &Graph, shape: &str, count: usize) -> Outcome<()> {
    let mut result = graph.execute(query(&statement(shape, count))).await?;
    let mut rows: Vec<Row> = Vec::new();
    while let Some(row) = result.next().await? {
        rows.push(row);
    }
    check(rows.len(), count)?;
    look(&rows[count - 1])
}

async fn batches(graph: &Graph, shape: &str, count: usize) -> Outcome<()> {
    let mut result = graph.execute(query(&statement(shape, count))).await?;
    let mut seen = 0;
    let mut last = None;
    while let Some(row) = result.next().await? {
        seen += 1;
        last = Some(row);
    }
    check(seen, count)?;
    last.as_ref().map_or(Ok(()), look)
}

/// Values are reached by the name of their column.
fn look(row: &Row) -> Outcome<()> {
    let keys = row.keys();
    row.get::<BoltType>(&keys[0].value)?;
    Ok(())
}

async fn unwind(graph: &Graph, rows: &BoltType, count: usize) -> Outcome<()> {
    for _ in 0..count / 1000 {
        graph.run(query(UNWIND).param("rows", rows.clone())).await?;
    }
    Ok(())
}

async fn work(arguments: &Arguments, graph: &Graph, rows: &BoltType, count: usize) -> Outcome<()> {
    match &arguments.workload {
        Workload::Fetch(shape) => fetch(graph, shape, count).await,
        Workload::Batches(shape) => batches(graph, shape, count).await,
        Workload::Unwind => unwind(graph, rows, count).await,
        Workload::Tiny => {
            for _ in 0..count {
                fetch(graph, "int", 1).await?;
            }
            Ok(())
        }
    }
}

async fn measure(arguments: &Arguments) -> Outcome<()> {
    let config = ConfigBuilder::default()
        .uri(format!("bolt://127.0.0.1:{}", arguments.port))
        .user(&arguments.user)
        .password(&arguments.password)
        .db("neo4j")
        .fetch_size(if arguments.workload == Workload::Tiny {
            10
        } else {
            FETCH_SIZE
        })
        .build()?;
    let graph = Graph::connect(config)?;
    let rows = people();
    work(arguments, &graph, &rows, arguments.portion()).await?;
    let start = Instant::now();
    work(arguments, &graph, &rows, arguments.count).await?;
    arguments.report(start);
    Ok(())
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse()?;
    // One connection: a second thread would only pass its bytes on.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&arguments))
}
