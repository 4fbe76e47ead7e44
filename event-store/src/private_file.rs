//! Files for their owner alone. What stands in them is masked, hashed or sealed; that is no reason to show it.

use std::{io, path::Path};

/// Makes an empty file that others cannot read, unless there is one. SQLite gives its companions the same mode.
pub fn create(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
