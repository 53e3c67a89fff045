//! What the peers have in common: the command line, the warm-up, the clock, and the rows of an ingest.

use std::env;
use std::error::Error;
use std::process::exit;
use std::time::Instant;

/// Small values in great number: the system's allocator would be half of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub const UNWIND: &str = "UNWIND $rows AS row CREATE (n:Person) SET n = row";

pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Collect all rows of a shape.
    Fetch(String),
    /// Look at all rows of a shape, and keep none.
    Batches(String),
    /// Send maps, a thousand at a time.
    Unwind,
    /// Results of one row, one after the other.
    Tiny,
}

pub struct Arguments {
    pub port: u16,
    pub workload: Workload,
    pub count: usize,
    pub user: String,
    pub password: String,
}

impl Arguments {
    /// Reads the command line; ends the program if it asks for something that is not known.
    pub fn parse() -> Outcome<Self> {
        let words: Vec<String> = env::args().skip(1).collect();
        let [port, name, count] = words.as_slice() else {
            return Err("<port> <name> <count>".into());
        };
        let workload = match name.split_once(' ').unwrap_or((name, "")) {
            ("fetch", shape) => Workload::Fetch(shape.to_owned()),
            ("batches", shape) => Workload::Batches(shape.to_owned()),
            ("unwind", _) => Workload::Unwind,
            ("tiny", "one by one") => Workload::Tiny,
            _ => exit(3),
        };
        Ok(Self {
            port: port.parse()?,
            workload,
            count: count.parse()?,
            user: env::var("BOLT_USER").unwrap_or_else(|_| "neo4j".into()),
            password: env::var("BOLT_PASSWORD").unwrap_or_else(|_| "password".into()),
        })
    }

    /// How many units to warm up with.
    pub fn portion(&self) -> usize {
        (self.count / 5000 * 1000).max(1000).min(self.count)
    }

    pub fn report(&self, start: Instant) {
        println!("{}", self.count as f64 / start.elapsed().as_secs_f64());
    }
}

pub fn statement(shape: &str, count: usize) -> String {
    format!("FETCH {shape} {count}")
}

pub fn check(seen: usize, count: usize) -> Outcome<()> {
    if seen == count {
        Ok(())
    } else {
        Err(format!("{seen} came out where {count} went in").into())
    }
}

/// A value of a row of an ingest.
pub enum Field {
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Text(String),
}

/// The fields of one row.
pub fn person(i: usize) -> Vec<(&'static str, Field)> {
    let number = i as i64;
    vec![
        ("id", Field::Integer(number)),
        ("name", Field::Text(format!("person-{i:06}"))),
        ("age", Field::Integer(number % 90)),
        (
            "score",
            Field::Float((i as f64 * 0.618_033_988_749).fract()),
        ),
        ("active", Field::Boolean(i % 2 == 0)),
        ("city", Field::Text("Oslo".into())),
        ("email", Field::Text(format!("p{i}@example.org"))),
        ("since", Field::Integer(1_500_000_000 + number)),
        ("rank", Field::Integer(number % 7)),
        ("note", Field::Text("x".repeat(20))),
        ("ok", Field::Boolean(true)),
    ]
}
