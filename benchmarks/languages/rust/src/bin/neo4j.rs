//! The crate `neo4j`: `neo4j <port> <name> <count>` prints units per second.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use asyncbolt_peers::{Arguments, Field, Outcome, UNWIND, Workload, check, person, statement};
use neo4j::ValueSend;
use neo4j::address::Address;
use neo4j::driver::auth::AuthToken;
use neo4j::driver::record_stream::RecordStream;
use neo4j::driver::{ConnectionConfig, Driver, DriverConfig, Record};
use neo4j::session::{Session, SessionConfig};

type Parameters = HashMap<String, ValueSend>;

fn people() -> Parameters {
    let row = |i| {
        let fields = person(i).into_iter().map(|(key, field)| {
            let value = match field {
                Field::Integer(value) => ValueSend::Integer(value),
                Field::Float(value) => ValueSend::Float(value),
                Field::Boolean(value) => ValueSend::Boolean(value),
                Field::Text(value) => ValueSend::String(value),
            };
            (key.to_owned(), value)
        });
        ValueSend::Map(fields.collect())
    };
    HashMap::from([(
        "rows".to_owned(),
        ValueSend::List((0..1000).map(row).collect()),
    )])
}

fn fetch(session: &mut Session<'_>, shape: &str, count: usize) -> Outcome<()> {
    let records: Vec<Record> = session
        .auto_commit(statement(shape, count))
        .with_receiver(|stream: &mut RecordStream| stream.collect())
        .run()?;
    check(records.len(), count)?;
    records[count - 1].values().next().ok_or("no value")?;
    Ok(())
}

fn batches(session: &mut Session<'_>, shape: &str, count: usize) -> Outcome<()> {
    let seen = session
        .auto_commit(statement(shape, count))
        .with_receiver(|stream: &mut RecordStream| {
            let mut seen = 0;
            for record in stream {
                seen += record?.values().take(1).count();
            }
            Ok(seen)
        })
        .run()?;
    check(seen, count)
}

fn unwind(session: &mut Session<'_>, parameters: &Parameters, count: usize) -> Outcome<()> {
    for _ in 0..count / 1000 {
        session
            .auto_commit(UNWIND)
            .with_parameters(parameters)
            .with_receiver(|stream: &mut RecordStream| stream.consume())
            .run()?;
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse()?;
    let auth = AuthToken::new_basic_auth(arguments.user.as_str(), arguments.password.as_str());
    let driver = Driver::new(
        ConnectionConfig::new(Address::from(("127.0.0.1", arguments.port))).with_routing(false),
        DriverConfig::new()
            .with_auth(Arc::new(auth))
            .with_fetch_all(),
    );
    let mut session = driver.session(SessionConfig::new());
    let parameters = people();
    let mut work = |count| match &arguments.workload {
        Workload::Fetch(shape) => fetch(&mut session, shape, count),
        Workload::Batches(shape) => batches(&mut session, shape, count),
        Workload::Unwind => unwind(&mut session, &parameters, count),
        Workload::Tiny => (0..count).try_for_each(|_| fetch(&mut session, "int", 1)),
    };
    work(arguments.portion())?;
    let start = Instant::now();
    work(arguments.count)?;
    arguments.report(start);
    Ok(())
}
