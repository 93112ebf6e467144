use std::net::SocketAddr;

use tempfile::TempDir;

use super::apps::folder;
use super::process::{Launch, Process, free_addresses};
use crate::error::Result;

/// The bare server that the apps are compared with, and the echo that shows what the generator can do.
pub struct Bare {
    process: Process,
    /// Where it answers every request alike, without looking at it.
    pub echo: SocketAddr,
    /// Where the disk is tried.
    pub folder: TempDir,
}

impl Bare {
    /// Starts it, and waits until it is ready.
    pub async fn start() -> Result<Self> {
        let folder = folder()?;
        let addresses = free_addresses(2)?;
        let (address, echo) = (addresses[0], addresses[1]);
        let mut process = Process::start(Launch {
            name: "bare-server".to_owned(),
            program: std::env::current_exe()?,
            arguments: vec!["bare-server".to_owned(), address.to_string(), echo.to_string()],
            variables: Vec::new(),
            folder: folder.path().to_owned(),
            address,
        })?;
        process.ready("/health/ready").await?;
        Ok(Self { process, echo, folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.address
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        self.process.stop().await;
    }
}
