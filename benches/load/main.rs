//! A load generator for Pub/Sub and Cloud Tasks servers over raw gRPC, and the comparison of this crate's emulator with others.
//!
//! `cargo bench --bench load -- compare` starts the servers and measures them in turn; `… -- run publish-batch --target HOST:PORT` puts one
//! workload on any server; `… -- redrive` measures transfers. It must not know the emulator's insides: what is measured is what a client meets.
#![expect(clippy::print_stdout, reason = "its tables go to stdout")]

mod args;
mod compare;
#[expect(dead_code, reason = "the server's half, and services that are not measured")]
#[path = "../../src/emulator/pb.rs"]
mod pb;
mod process;
mod push;
mod redrive;
mod report;
mod rpc;
mod sink;
mod workload;

use clap::Parser;

use args::{Args, What};

fn main() -> anyhow::Result<()> {
    // `cargo bench` adds `--bench` for the benefit of other harnesses.
    let args = Args::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    let runtime = match args.what {
        // A server has the threads that a service has.
        What::ServePush(_) => tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
        // One core is enough for it; the other is the server's.
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
    };
    runtime.block_on(async {
        match args.what {
            What::Run(run) => {
                let figure = workload::run(run.workload, &run.target, &run.size()).await?;
                println!("{:<16} {}", run.workload.name(), report::figure(run.workload, figure.value));
                Ok(())
            }
            What::Compare(options) => compare::run(&options).await,
            What::Push(options) => push::run(&options).await,
            What::ServePush(options) => push::serve(&options).await,
            What::Redrive(options) => redrive::run(&options).await,
        }
    })
}
