//! The faults, and how each is injected.

/// A fault of one trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    ServerKilled,
    ServerEnded,
    ServerHangs,
    ServerPaused,
    TwoServersKilled,
    AllServersKilled,
    ServerKilledAgain,
    RunKilled,
    RunEnded,
    RunPaused,
    SourceBusy,
    SourceCutsShort,
    SourceDamages,
    SourceAway,
    SourceGone,
    SourceSilent,
    SourceSlow,
    SourceTooSlow,
    SourceChanges,
    ReaderStalls,
    ReaderLeaves,
    ScratchDiskFull,
    FewOpenFiles,
    SmallFiles,
}

/// What a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Server processes.
    Servers,
    /// The command.
    Run,
    /// The source of the frames.
    Source,
    /// Readers of a served job.
    Readers,
    /// Limits of the system.
    Limits,
}

/// Each fault, and its share: the number of trials in a long run, relative to the others.
const SHARES: [(Fault, usize); 24] = [
    (Fault::ServerKilled, 20),
    (Fault::ServerEnded, 10),
    (Fault::ServerHangs, 6),
    (Fault::ServerPaused, 6),
    (Fault::TwoServersKilled, 5),
    (Fault::AllServersKilled, 5),
    (Fault::ServerKilledAgain, 5),
    (Fault::RunKilled, 8),
    (Fault::RunEnded, 6),
    (Fault::RunPaused, 4),
    (Fault::SourceBusy, 2),
    (Fault::SourceCutsShort, 2),
    (Fault::SourceDamages, 2),
    (Fault::SourceAway, 3),
    (Fault::SourceGone, 1),
    (Fault::SourceSilent, 2),
    (Fault::SourceSlow, 2),
    (Fault::SourceTooSlow, 1),
    (Fault::SourceChanges, 2),
    (Fault::ReaderStalls, 2),
    (Fault::ReaderLeaves, 2),
    (Fault::ScratchDiskFull, 1),
    (Fault::FewOpenFiles, 1),
    (Fault::SmallFiles, 1),
];

impl Fault {
    /// The fault of a trial. The first trials inject each fault once, except for the fault that takes a minute.
    pub(crate) fn of_trial(trial: usize) -> Self {
        let first: Vec<Self> = SHARES.iter().map(|(fault, _)| *fault).filter(|fault| *fault != Self::SourceTooSlow).collect();
        let Some(trial) = trial.checked_sub(first.len()) else { return first[trial] };
        let rounds = SHARES.iter().map(|(_, share)| *share).max().unwrap_or(1);
        // The next round has the faults whose share is large enough, so that faults alternate.
        let all: Vec<Self> =
            (0..rounds).flat_map(|round| SHARES.iter().filter(move |(_, share)| *share > round)).map(|(fault, _)| *fault).collect();
        all[trial % all.len()]
    }

    /// What the fault concerns.
    pub(crate) const fn group(self) -> Group {
        match self {
            Self::ServerKilled
            | Self::ServerEnded
            | Self::ServerHangs
            | Self::ServerPaused
            | Self::TwoServersKilled
            | Self::AllServersKilled
            | Self::ServerKilledAgain => Group::Servers,
            Self::RunKilled | Self::RunEnded | Self::RunPaused => Group::Run,
            Self::SourceBusy
            | Self::SourceCutsShort
            | Self::SourceDamages
            | Self::SourceAway
            | Self::SourceGone
            | Self::SourceSilent
            | Self::SourceSlow
            | Self::SourceTooSlow
            | Self::SourceChanges => Group::Source,
            Self::ReaderStalls | Self::ReaderLeaves => Group::Readers,
            Self::ScratchDiskFull | Self::FewOpenFiles | Self::SmallFiles => Group::Limits,
        }
    }

    /// The fault, as a noun and a verb.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ServerKilled => "A server is killed",
            Self::ServerEnded => "A server is ended",
            Self::ServerHangs => "A server hangs",
            Self::ServerPaused => "A server pauses",
            Self::TwoServersKilled => "Two servers are killed",
            Self::AllServersKilled => "All servers are killed",
            Self::ServerKilledAgain => "A server is killed again during its recovery",
            Self::RunKilled => "`arrayjob run` is killed",
            Self::RunEnded => "`arrayjob run` is ended",
            Self::RunPaused => "`arrayjob run` pauses",
            Self::SourceBusy => "The source is busy",
            Self::SourceCutsShort => "The source cuts responses short",
            Self::SourceDamages => "The source sends a damaged frame",
            Self::SourceAway => "The source is away",
            Self::SourceGone => "The source is gone",
            Self::SourceSilent => "The source is silent",
            Self::SourceSlow => "The source is slow",
            Self::SourceTooSlow => "The source is too slow",
            Self::SourceChanges => "The source changes, and a server is lost",
            Self::ReaderStalls => "A reader stalls, and a server is lost",
            Self::ReaderLeaves => "Readers disconnect, and a server is lost",
            Self::ScratchDiskFull => "The scratch disk is full when a server restarts",
            Self::FewOpenFiles => "Too few open files",
            Self::SmallFiles => "Too low a limit on the size of a file",
        }
    }

    /// How a trial injects the fault.
    pub(crate) const fn injected(self) -> &'static str {
        match self {
            Self::ServerKilled => "SIGKILL",
            Self::ServerEnded => "SIGTERM",
            Self::ServerHangs => "SIGSTOP",
            Self::ServerPaused => "SIGSTOP, SIGCONT after 1 to 6 s",
            Self::TwoServersKilled => "SIGKILL to two servers at once",
            Self::AllServersKilled => "SIGKILL to all servers at once",
            Self::ServerKilledAgain => "SIGKILL, and SIGKILL to the replacement within 0.5 s of its start",
            Self::RunKilled => "SIGKILL; then the same manifest runs again",
            Self::RunEnded => "SIGTERM, SIGINT or SIGHUP",
            Self::RunPaused => "SIGSTOP, SIGCONT after 1 to 6 s, in one of four trials after 10 to 20 s",
            Self::SourceBusy => "503 for 1 to 3 requests of each of 6 frames",
            Self::SourceCutsShort => "half of the body for 1 or 2 requests of each of 6 frames",
            Self::SourceDamages => "one bit of the first response with one frame flips",
            Self::SourceAway => "connections close at once, for 0.5 to 3 s",
            Self::SourceGone => "connections close at once, until the end",
            Self::SourceSilent => "no byte of any connection passes, for 1 to 6 s",
            Self::SourceSlow => "3,000 bytes/s for each connection, for 1 to 6 s",
            Self::SourceTooSlow => "40 bytes/s for each connection",
            Self::SourceChanges => "a frame has other pixels at its second request, after SIGKILL to its server",
            Self::ReaderStalls => "a reader requests an array and reads nothing; SIGKILL to a server",
            Self::ReaderLeaves => "8 readers close their connections in the middle of a response; SIGKILL to a server",
            Self::ScratchDiskFull => "another program fills the disk; SIGKILL to a server",
            Self::FewOpenFiles => "`ulimit -n` from 16 to 40",
            Self::SmallFiles => "`ulimit -f 16`, for scratch files or for outputs",
        }
    }

    /// Whether the table has one row for each phase.
    pub(crate) const fn has_row_of_phase(self) -> bool {
        matches!(self, Self::ServerKilled | Self::ServerEnded | Self::ServerHangs)
    }
}
