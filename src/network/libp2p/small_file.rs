//! Small files that are replaced as a whole: a reader sees the old text or the new one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use rand::Rng;

/// A name beside `path` that nobody else uses.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{:016x}.new", rand::rng().next_u64()));
    path.with_file_name(name)
}

/// Creates a file that did not exist, readable by its owner alone.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Puts `text` in the place of what `path` held.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = beside(path);
    let written = create_private(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // Nothing more can be done about a half-written file than to try to be rid of it.
        let _ = fs::remove_file(&new);
    }
    written
}

/// The text of `path`, if there is such a file.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
