//! What is asked is done and answered, in order, until the machine is switched off.

use std::convert::Infallible;

use lxc_guest::protocol::{Hello, Layout, Reply, Request};

use crate::census::Witness;
use crate::children;
use crate::features;
use crate::port::Port;
use crate::prepare::{self, Kitchen};
use crate::since_boot_ms;
use crate::trouble::Outcome;
use crate::watch::Watch;

/// The agent at work.
pub struct Agent {
    port: Port,
    watch: Watch,
    witness: Witness,
    kitchen: Kitchen,
    hello: Hello,
}

impl Agent {
    /// Gets everything ready.
    pub fn new(port: Port, layout: Layout, init_at_ms: u64) -> Outcome<Agent> {
        let mut watch = Watch::new()?;
        port.watched_by(&mut watch)?;
        let kernel = rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned();
        Ok(Agent {
            port,
            watch,
            witness: Witness::new()?,
            kitchen: Kitchen::new()?,
            hello: Hello {
                kernel,
                layout,
                init_at_ms,
                ready_at_ms: since_boot_ms(),
            },
        })
    }

    /// Answers requests for ever.
    pub fn serve(&mut self) -> Outcome<Infallible> {
        loop {
            let request = self.port.next(&mut self.watch)?;
            let reply = request.and_then(|request| self.answer(request));
            self.port.reply(&reply.unwrap_or_else(Reply::Failed))?;
        }
    }

    fn answer(&mut self, request: Request) -> Outcome<Reply> {
        Ok(match request {
            Request::Hello => Reply::Hello(self.hello.clone()),
            Request::Prepare(container) => {
                self.kitchen.prepare(&container)?;
                Reply::Done
            }
            Request::Place(placed) => {
                prepare::place(&placed)?;
                Reply::Done
            }
            Request::Run(run) => Reply::Ran(children::run(&mut self.watch, &run)?),
            Request::Probe(wanted) => Reply::Probed(features::probe(&mut self.watch, &wanted)),
            Request::Census => Reply::Census(Box::new(self.witness.count()?)),
            Request::Settle { before, within_ms } => {
                let count = self.witness.settle(&mut self.watch, &before, within_ms)?;
                Reply::Census(Box::new(count))
            }
            Request::Hang => self.hang()?,
        })
    }

    fn hang(&mut self) -> Outcome<Reply> {
        loop {
            self.watch.wait(None)?;
        }
    }
}
