//! `export` and `import`: bundles in files.

use std::{
    fs::{self, File, TryLockError},
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use serde::{Deserialize, Serialize};
use tokio::{runtime, sync::oneshot};
use ureq::http::Method;

use super::{
    args,
    client::{Ask, Client},
    failure::Failure,
    kv, output,
    signals::Signals,
    table::size,
};
use crate::{
    node::{BundleChunk, BundleEnd, BundleError, BundleReader, Frontier},
    types::{ContentType, Namespace},
};

/// So many bytes are read at a time.
const PART_BYTES: usize = 64 * 1024;
/// How wide the bar is, in characters.
const WIDTH: u64 = 24;

/// What an export says of itself.
#[derive(Serialize)]
struct Exported {
    file: String,
    bytes: u64,
    versions: u64,
    /// For the next one: `--since`.
    frontier: String,
}

#[derive(Deserialize)]
struct Imported {
    versions: u64,
    fresh: u64,
    too_large: u64,
    complete: bool,
    incomplete_because: Option<String>,
}

/// Writes what the node holds to a file, which is there when all of it is, and verified. Whoever breaks it off
/// leaves nothing behind.
pub(super) fn export(client: Client, export: &args::Export, json: bool) -> Result<ExitCode, Failure> {
    let part = part_of(&export.file);
    let cannot = |error: io::Error| Failure::refused(format!("nothing was exported: {error}"));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let written = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let (told, writing) = oneshot::channel();
        let (export, part) = (export.clone(), part.clone());
        // Signals are heard meanwhile.
        thread::Builder::new().name("export".to_owned()).spawn(move || {
            let _broken_off = told.send(write(&client, &export, &part));
        })?;
        Ok(tokio::select! {
            written = writing => Ok(written),
            asked = signals.next() => Err(asked),
        })
    });
    match written.map_err(cannot)? {
        Err(asked) => {
            let left = match fs::remove_file(&part) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    format!("; remove {}", part.display())
                }
                _ => String::new(),
            };
            output::say(&format!("tidings: broken off ({}); nothing was exported{left}", asked.name()));
            Ok(asked.exit_code())
        }
        Ok(Err(_)) => Err(Failure::refused("nothing was exported: a panic")),
        Ok(Ok(written)) => tell(export, written?, json).map(|()| ExitCode::SUCCESS),
    }
}

fn tell(export: &args::Export, (end, bytes): (BundleEnd, u64), json: bool) -> Result<(), Failure> {
    let file = export.file.display().to_string();
    let exported =
        Exported { file, bytes, versions: end.versions, frontier: Frontier(end.frontier).to_string() };
    if json {
        return kv::print(&serde_json::to_vec(&exported).expect("texts and numbers serialise"));
    }
    let Exported { file, versions, frontier, .. } = exported;
    output::say(&format!("{versions} versions, {}, in {file}; what comes later: --since", size(bytes)));
    output::line(&frontier)
}

/// `FILE.part`, beside it.
fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn refused(file: &Path, error: &io::Error) -> Failure {
    Failure::refused(format!("{}: {error}", file.display()))
}

/// Writes the part, and gives it its name.
fn write(client: &Client, export: &args::Export, part: &Path) -> Result<(BundleEnd, u64), Failure> {
    let mut file = None;
    let written = download(client, export, part, &mut file).and_then(|written| {
        fs::rename(part, &export.file).map_err(|error| refused(&export.file, &error))?;
        Ok(written)
    });
    if written.is_err() && file.is_some() {
        let _the_error_is_told = fs::remove_file(part);
    }
    written
}

fn download(
    client: &Client,
    export: &args::Export,
    part: &Path,
    file: &mut Option<File>,
) -> Result<(BundleEnd, u64), Failure> {
    let mut ask = Ask::new(Method::GET, "/v1/export");
    if let Some(since) = &export.since {
        ask = ask.with("since", since);
    }
    let mut meter = Meter::new("exported", None);
    let (mut reader, mut end) = (BundleReader::default(), None);
    client.download(&ask, |bytes| {
        // Not before the node has agreed.
        if file.is_none() {
            *file = Some(private(part).map_err(|error| refused(part, &error))?);
        }
        let Some(file) = file.as_mut() else { return Ok(()) };
        file.write_all(bytes).map_err(|error| refused(part, &error))?;
        meter.more(bytes.len());
        reader.push(bytes);
        while let Some(chunk) = reader.next_chunk().map_err(|error| damaged(&error))? {
            if let BundleChunk::End(last) = chunk {
                end = Some(last);
            }
        }
        Ok(())
    })?;
    reader.finish().map_err(|error| damaged(&error))?;
    let (Some(end), Some(file)) = (end, file.as_ref()) else {
        return Err(damaged(&BundleError::Cut { at: 0 }));
    };
    file.sync_all().map_err(|error| refused(part, &error))?;
    Ok((end, reader.at()))
}

fn damaged(error: &BundleError) -> Failure {
    Failure::no_answer(format!("the node broke off, or what it sent was damaged on its way: {error}"))
}

/// What lies in a bundle is for its owner alone, also where a part was left by one that was killed. Two exports to
/// one file do not write into each other.
fn private(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("it is in the way, and no file"));
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::other("another export is writing it"),
        TryLockError::Error(error) => error,
    })?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.set_len(0)?;
    Ok(file)
}

/// Has the node take in a bundle. All of the file is verified before anything is sent, so a bad one changes
/// nothing.
pub(super) fn import(client: &Client, import: &args::Import, json: bool) -> Result<(), Failure> {
    let file = &import.file;
    let length = verify(file, client.namespace())?;
    let mut meter = Meter::new("imported", Some(length));
    let mut reader = Metered(File::open(file).map_err(|error| refused(file, &error))?, &mut meter);
    let bundle = ContentType::new("application/vnd.tidings.bundle").expect("a lawful type");
    let body = client.upload(&Ask::new(Method::POST, "/v1/import").body(&[], Some(bundle)), &mut reader)?;
    drop(meter);
    if json {
        return kv::print(&body);
    }
    let Imported { versions, fresh, too_large, complete, incomplete_because } = client.parse(&body)?;
    output::line(&format!("{versions} versions, {fresh} of them new"))?;
    if too_large > 0 {
        output::say(&format!("{too_large} were left out: their values are larger than the node takes"));
    }
    match incomplete_because {
        Some(why) if !complete => {
            output::say(&format!("not all that is gone there counts as gone here: {why}"));
        }
        _ => {}
    }
    Ok(())
}

/// Reads all of a bundle; its length.
fn verify(path: &Path, expected: &Namespace) -> Result<u64, Failure> {
    let mut file = File::open(path).map_err(|error| refused(path, &error))?;
    let wrong =
        |error: &BundleError| Failure::refused(format!("{}: {error}; nothing was changed", path.display()));
    let (mut reader, mut bytes) = (BundleReader::default(), vec![0; PART_BYTES]);
    loop {
        let read = file.read(&mut bytes).map_err(|error| refused(path, &error))?;
        if read == 0 {
            break;
        }
        reader.push(&bytes[..read]);
        while let Some(chunk) = reader.next_chunk().map_err(|error| wrong(&error))? {
            match chunk {
                BundleChunk::Head(head) if head.namespace != *expected => {
                    let found = head.namespace;
                    let why = format!(
                        "it is of the namespace {found}: import it with --ns {found}; nothing was changed"
                    );
                    return Err(Failure::refused(format!("{}: {why}", path.display())));
                }
                _ => {}
            }
        }
    }
    reader.finish().map_err(|error| wrong(&error))?;
    Ok(reader.at())
}

/// How far it is, on stderr where a person looks.
struct Meter {
    what: &'static str,
    of: Option<u64>,
    done: u64,
    drawn: u64,
    terminal: bool,
}

/// The meter is drawn again after so many bytes.
const REDRAW_BYTES: u64 = 256 * 1024;

impl Meter {
    fn new(what: &'static str, of: Option<u64>) -> Self {
        Self { what, of, done: 0, drawn: 0, terminal: io::stderr().is_terminal() }
    }

    fn more(&mut self, bytes: usize) {
        self.done += bytes as u64;
        if self.terminal && self.done - self.drawn >= REDRAW_BYTES {
            self.drawn = self.done;
            let mut stderr = io::stderr().lock();
            let _nobody_looks = write!(stderr, "\r\x1b[2K{}", self.text()).and_then(|()| stderr.flush());
        }
    }

    fn text(&self) -> String {
        let Some(of) = self.of else { return format!("{} {}", size(self.done), self.what) };
        let full = self.done.min(of) * WIDTH / of.max(1);
        let bar: String = (0..WIDTH).map(|place| if place < full { '#' } else { '.' }).collect();
        format!("[{bar}] {} of {} {}", size(self.done), size(of), self.what)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.drawn > 0 {
            let _nobody_looks = write!(io::stderr().lock(), "\r\x1b[2K");
        }
    }
}

/// A file whose reading is shown.
struct Metered<'a>(File, &'a mut Meter);

impl Read for Metered<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(bytes)?;
        self.1.more(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_says_how_much_of_how_much() {
        let mut meter = Meter { what: "imported", of: Some(4_096), done: 0, drawn: 0, terminal: false };
        meter.more(1_024);
        assert_eq!(meter.text(), "[######..................] 1.0 KiB of 4.0 KiB imported");
        meter.more(9_000);
        assert!(meter.text().starts_with("[########################] "), "{}", meter.text());
        meter.of = None;
        assert_eq!(meter.text(), "9.7 KiB imported");
    }
}
