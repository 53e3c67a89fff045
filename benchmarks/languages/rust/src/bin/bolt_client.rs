//! The crate `bolt-client`: `bolt_client <port> <name> <count>` prints units per second. Bolt 4.4 at most.

use std::collections::HashMap;
use std::process::exit;
use std::time::Instant;

use asyncbolt_peers::{Arguments, Field, Outcome, UNWIND, Workload, check, person, statement};
use bolt_client::{Client, Metadata, Params};
use bolt_proto::message::Success;
use bolt_proto::version::V4_4;
use bolt_proto::{Message, Value};
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

type Connection = Client<Compat<BufStream<TcpStream>>>;

fn people() -> Value {
    let row = |i| {
        let fields = person(i).into_iter().map(|(key, field)| {
            let value = match field {
                Field::Integer(value) => Value::Integer(value),
                Field::Float(value) => Value::Float(value),
                Field::Boolean(value) => Value::Boolean(value),
                Field::Text(value) => Value::String(value),
            };
            (key.to_owned(), value)
        });
        Value::Map(fields.collect::<HashMap<String, Value>>())
    };
    Value::List((0..1000).map(row).collect())
}

fn succeed(message: Message) -> Outcome<()> {
    Success::try_from(message)?;
    Ok(())
}

/// RUN, then all rows with one PULL.
async fn fetch(client: &mut Connection, shape: &str, count: usize) -> Outcome<()> {
    succeed(client.run(statement(shape, count), None, None).await?)?;
    let (records, end) = client.pull(Some(Metadata::from_iter([("n", -1)]))).await?;
    succeed(end)?;
    check(records.len(), count)?;
    records[count - 1].fields().first().ok_or("no value")?;
    Ok(())
}

async fn unwind(client: &mut Connection, rows: &Value, count: usize) -> Outcome<()> {
    for _ in 0..count / 1000 {
        let parameters = Params::from_iter([("rows", rows.clone())]);
        succeed(client.run(UNWIND, Some(parameters), None).await?)?;
        let (_, end) = client.pull(Some(Metadata::from_iter([("n", -1)]))).await?;
        succeed(end)?;
    }
    Ok(())
}

async fn work(
    arguments: &Arguments,
    client: &mut Connection,
    rows: &Value,
    count: usize,
) -> Outcome<()> {
    match &arguments.workload {
        Workload::Fetch(shape) => fetch(client, shape, count).await,
        Workload::Unwind => unwind(client, rows, count).await,
        Workload::Tiny => {
            for _ in 0..count {
                fetch(client, "int", 1).await?;
            }
            Ok(())
        }
        // It gives rows in lists only.
        Workload::Batches(_) => exit(3),
    }
}

async fn measure(arguments: &Arguments) -> Outcome<()> {
    let socket = TcpStream::connect(("127.0.0.1", arguments.port)).await?;
    socket.set_nodelay(true)?;
    let stream = BufStream::with_capacity(1 << 16, 1 << 16, socket).compat();
    let mut client = Client::new(stream, &[V4_4, 0, 0, 0]).await?;
    let login = Metadata::from_iter([
        ("user_agent", "peer/1.0"),
        ("scheme", "basic"),
        ("principal", &arguments.user),
        ("credentials", &arguments.password),
    ]);
    succeed(client.hello(login).await?)?;
    let rows = people();
    work(arguments, &mut client, &rows, arguments.portion()).await?;
    let start = Instant::now();
    work(arguments, &mut client, &rows, arguments.count).await?;
    arguments.report(start);
    Ok(())
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&arguments))
}
