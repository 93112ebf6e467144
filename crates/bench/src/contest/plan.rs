use std::path::PathBuf;

use serde::Serialize;

use crate::error::Result;
use crate::options::{Mode, Options};
use crate::servers::program_folder;

/// What the pair of this build is called.
pub const HERE: &str = "SQLite";
/// What the pair of `--against` is called.
pub const AGAINST: &str = "SQLite, the build of --against";
/// What the pair on PostgreSQL is called.
pub const POSTGRES: &str = "PostgreSQL";
/// What the replicas are called.
pub const REPLICAS: &str = "PostgreSQL, two replicas";
/// What the Django pair is called.
pub const DJANGO: &str = "Django pair, SQLite";
/// The connections that the goals speak of.
const USUAL: usize = 64;
/// The connections of the measurements of delivery.
const DELIVERIES: [usize; 2] = [1, USUAL];

/// What is started for a plan.
#[derive(Debug)]
pub enum Kind {
    /// The apps of a folder, on SQLite.
    Sqlite(PathBuf),
    /// The apps of a folder on PostgreSQL, in so many replicas.
    Postgres(PathBuf, usize),
    /// The Django pair.
    Django,
}

/// What is measured of one pair of apps.
#[derive(Debug)]
pub struct Plan {
    /// What the pair is called.
    pub name: String,
    /// What is started.
    pub kind: Kind,
    /// Sends and relay with so many connections.
    pub sends: Vec<usize>,
    /// Inbox pages.
    pub inbox: bool,
    /// From app to app with so many connections.
    pub delivery: Vec<usize>,
    /// From app to socket.
    pub push: Vec<Rhythm>,
    /// Log-ins.
    pub login: bool,
}

/// How messages follow each other on their way to sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rhythm {
    /// One at a time, with a rest in between.
    Idle,
    /// One at a time on each of 64 connections.
    Closed,
    /// At half of the peak, over 64 connections.
    Half,
}

impl Rhythm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Idle, Self::Closed, Self::Half];

    /// Connections that send.
    pub fn connections(self) -> usize {
        match self {
            Self::Idle => 1,
            Self::Closed | Self::Half => USUAL,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "1 connection, idle in between",
            Self::Closed => "64 connections, one message at a time each",
            Self::Half => "64 connections, half of the peak",
        }
    }
}

/// One measurement of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Pages of inboxes that hold few messages.
    Inbox,
    /// From app to app.
    Delivery(usize),
    /// Sends and relay.
    Sends(usize),
    /// From app to socket.
    Push(Rhythm),
    /// Pages of the inboxes that the sends have filled.
    FullInbox,
    /// Log-ins.
    Login,
}

impl Plan {
    fn new(name: &str, kind: Kind, sends: Vec<usize>) -> Self {
        let (delivery, push) = (Vec::new(), Vec::new());
        Self { name: name.to_owned(), kind, sends, inbox: false, delivery, push, login: false }
    }

    /// The plans for everything that is asked for, the pair of this build first.
    pub fn all(options: &Options) -> Result<Vec<Self>> {
        let programs = program_folder()?;
        let sending = options.wants(Mode::Sends) || options.wants(Mode::Relay);
        let connections: Vec<usize> = if sending {
            options.connections.iter().map(|&number| usize::from(number)).collect()
        } else {
            Vec::new()
        };
        let only = |few: &[usize]| -> Vec<usize> {
            connections.iter().copied().filter(|number| few.contains(number)).collect()
        };
        let mut here = Self::new(HERE, Kind::Sqlite(programs.clone()), connections.clone());
        here.inbox = options.wants(Mode::Inbox);
        here.login = options.wants(Mode::Login);
        if options.wants(Mode::Delivery) {
            here.delivery = DELIVERIES.to_vec();
        }
        if options.wants(Mode::Push) {
            here.push = Rhythm::ALL.to_vec();
        }
        let mut plans = vec![here];
        if let Some(folder) = &options.against
            && sending
        {
            let folder = std::path::absolute(folder)?;
            let mut sends = only(&[USUAL]);
            if sends.is_empty() {
                sends.clone_from(&connections);
            }
            plans.push(Self::new(AGAINST, Kind::Sqlite(folder), sends));
        }
        if options.postgres.is_some() {
            let sends = if options.quick { only(&[1, USUAL]) } else { connections.clone() };
            let mut one = Self::new(POSTGRES, Kind::Postgres(programs.clone(), 1), sends);
            one.inbox = options.wants(Mode::Inbox) && !options.quick;
            if options.wants(Mode::Push) {
                one.push = vec![Rhythm::Idle, Rhythm::Half];
            }
            plans.push(one);
            let sends = if options.quick { only(&[USUAL]) } else { only(&[USUAL, 256]) };
            plans.push(Self::new(REPLICAS, Kind::Postgres(programs, 2), sends));
        }
        if options.wants(Mode::Django) {
            let mut django = Self::new(DJANGO, Kind::Django, only(&[1, USUAL]));
            django.inbox = options.wants(Mode::Inbox);
            if options.wants(Mode::Delivery) {
                django.delivery = DELIVERIES.to_vec();
            }
            plans.push(django);
        }
        plans.retain(|plan| !plan.steps().is_empty());
        Ok(plans)
    }

    /// The measurements of a round, in their order.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.inbox {
            steps.push(Step::Inbox);
        }
        steps.extend(self.delivery.iter().copied().map(Step::Delivery));
        steps.extend(self.sends.iter().copied().map(Step::Sends));
        steps.extend(self.push.iter().copied().map(Step::Push));
        if self.inbox && !self.sends.is_empty() {
            steps.push(Step::FullInbox);
        }
        if self.login {
            steps.push(Step::Login);
        }
        steps
    }
}
