//! `export` and `import`: bundles in files.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use ureq::http::Method;

use super::{
    args,
    client::{Ask, Client},
    failure::Failure,
    kv, output,
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

/// Writes what the node holds to a file, which is there when all of it is, and verified.
pub(super) fn export(client: &Client, export: &args::Export, json: bool) -> Result<(), Failure> {
    let part = part_of(&export.file);
    let written = write(client, export, &part).and_then(|(end, bytes)| {
        fs::rename(&part, &export.file).map_err(|error| refused(&export.file, &error))?;
        Ok((end, bytes))
    });
    if written.is_err() {
        let _perhaps_never_made = fs::remove_file(&part);
    }
    let (end, bytes) = written?;
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

fn write(client: &Client, export: &args::Export, part: &Path) -> Result<(BundleEnd, u64), Failure> {
    let mut ask = Ask::new(Method::GET, "/v1/export");
    if let Some(since) = &export.since {
        ask = ask.with("since", since);
    }
    let mut meter = Meter::new("exported", None);
    let (mut reader, mut end, mut file) = (BundleReader::default(), None, None);
    client.download(&ask, |bytes| {
        // Not before the node has agreed.
        if file.is_none() {
            file = Some(private(part).map_err(|error| refused(part, &error))?);
        }
        let Some(file) = &mut file else { return Ok(()) };
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
    let (Some(end), Some(file)) = (end, file) else { return Err(damaged(&BundleError::Cut { at: 0 })) };
    file.sync_all().map_err(|error| refused(part, &error))?;
    Ok((end, reader.at()))
}

fn damaged(error: &BundleError) -> Failure {
    Failure::no_answer(format!("the node broke off, or what it sent was damaged on its way: {error}"))
}

/// What lies in a bundle is for its owner alone.
fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
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
