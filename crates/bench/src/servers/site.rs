use std::net::SocketAddr;

use super::process::{Launch, Process};
use crate::error::Result;
use crate::usage::memory_mib;

/// One app: a process, or several that share a database.
pub struct Site {
    replicas: Vec<Process>,
    health: &'static str,
}

impl Site {
    /// Starts the replicas one after the other, each when the one before answers at the path `health`: the first one
    /// brings the database up to date.
    pub async fn start(launches: Vec<Launch>, health: &'static str) -> Result<Self> {
        let mut site = Self { replicas: Vec::with_capacity(launches.len()), health };
        for launch in launches {
            let mut process = Process::start(launch)?;
            process.ready(health).await?;
            site.replicas.push(process);
        }
        Ok(site)
    }

    /// Where the first replica listens.
    pub fn address(&self) -> SocketAddr {
        self.replicas[0].address
    }

    /// Where a connection goes to, by its number: to the replicas in turn.
    pub fn address_for(&self, connection: usize) -> SocketAddr {
        self.replicas[connection % self.replicas.len()].address
    }

    /// The processes.
    pub fn pids(&self) -> Vec<u32> {
        self.replicas.iter().map(|process| process.pid).collect()
    }

    /// The memory of the replicas together, in MiB.
    pub fn memory_mib(&self) -> Result<f64> {
        self.pids().into_iter().map(memory_mib).sum()
    }

    /// Ends the processes and starts them anew, on the database that is there.
    pub async fn restart(&mut self) -> Result<()> {
        for process in &mut self.replicas {
            process.restart().await?;
            process.ready(self.health).await?;
        }
        Ok(())
    }

    /// Ends the processes.
    pub async fn stop(&mut self) {
        for process in &mut self.replicas {
            process.stop().await;
        }
    }

    /// Counts the warnings and errors in the logs, and shows the first.
    pub fn complaints(&self) -> usize {
        let complaints = self.replicas.iter().map(|process| {
            let (lines, first) = process.complaints();
            if let Some(first) = first {
                eprintln!("the log of process {} complains: {first}", process.pid);
            }
            lines
        });
        complaints.sum()
    }
}
