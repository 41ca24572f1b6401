//! Ignite joins Phantom's pool.
//!
//! Without arguments the story is told on the embedded simulator: the findings with their remedies,
//! the plan, the join, the pool before and after. With `--pool-snapshot FILE --host-snapshot FILE`
//! the preflight runs on saved snapshots; the exit code is 0 if the host may join, 2 if not.

mod story;

use std::process::ExitCode;

use xcp_pool::model::Snapshot;
use xcp_pool::preflight::{self, Options, Verdict};
use xcp_pool::{Error, ErrorKind, Result};

const USAGE: &str = "usage: join [--keep-vms]\n       join --pool-snapshot FILE --host-snapshot FILE \
                     [--options FILE] [--json | --markdown]";

fn main() -> ExitCode {
    match Arguments::read(std::env::args().skip(1)).and_then(|arguments| arguments.run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Arguments {
    pool: Option<String>,
    host: Option<String>,
    options: Option<String>,
    json: bool,
    markdown: bool,
    keep_vms: bool,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            let mut file = || words.next().ok_or_else(|| usage(&format!("{word} needs a file")));
            match word.as_str() {
                "--pool-snapshot" => arguments.pool = Some(file()?),
                "--host-snapshot" => arguments.host = Some(file()?),
                "--options" => arguments.options = Some(file()?),
                "--json" => arguments.json = true,
                "--markdown" => arguments.markdown = true,
                "--keep-vms" => arguments.keep_vms = true,
                _ => return Err(usage(&format!("unknown argument {word:?}"))),
            }
        }
        Ok(arguments)
    }

    fn run(&self) -> Result<ExitCode> {
        match (&self.pool, &self.host) {
            (Some(pool), Some(host)) => self.check(load(pool)?, load(host)?),
            (None, None) => story::tell(self.keep_vms).map(|()| ExitCode::SUCCESS),
            _ => Err(usage("--pool-snapshot and --host-snapshot go together")),
        }
    }

    fn check(&self, pool: Snapshot, host: Snapshot) -> Result<ExitCode> {
        let options = match &self.options {
            Some(file) => serde_json::from_slice(&read(file)?)
                .map_err(|error| Error::new(ErrorKind::InvalidInput, format!("{file}: {error}")))?,
            None => Options::default(),
        };
        let report = preflight::evaluate(pool, host, &options);
        let ready = report.verdict() == Verdict::Ready;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
        } else if self.markdown {
            println!("{}", report.to_markdown());
        } else {
            println!("{report}");
            if ready {
                println!("\n{}", report.consequences());
            }
        }
        Ok(ExitCode::from(if ready { 0 } else { 2 }))
    }
}

fn usage(why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("{why}\n{USAGE}"))
}

fn read(file: &str) -> Result<Vec<u8>> {
    std::fs::read(file)
        .map_err(|error| Error::new(ErrorKind::InvalidInput, format!("{file}: {error}")))
}

fn load(file: &str) -> Result<Snapshot> {
    let snapshot = Snapshot::from_json(&read(file)?).map_err(|error| error.context(file))?;
    snapshot.the_pool().map_err(|error| error.context(file))?;
    for problem in &snapshot.problems {
        eprintln!("{file}: {problem}");
    }
    Ok(snapshot)
}
