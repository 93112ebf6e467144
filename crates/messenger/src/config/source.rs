use std::path::PathBuf;

/// Where a variable has its value from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file that its `_FILE` variable names.
    File(PathBuf),
    /// The file `.env` in the working folder, under this name.
    DotEnv(String),
    /// The environment of the process, under this name.
    Process(String),
}
