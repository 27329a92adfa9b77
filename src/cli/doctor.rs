//! `doctor`: checks a data directory, and sets one back.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::Path,
    process::ExitCode,
    thread,
};

use serde_json::json;
use tokio::{runtime, sync::oneshot};

use super::{
    args::Doctor,
    failure::Failure,
    output,
    signals::{Asked, Signals},
    table::table,
};
use crate::node::{
    OpenError,
    doctor::{self, Examined},
};

const BAR: u64 = 30;
/// While the copy is removed somebody may still be writing it: so often is that tried.
const REMOVALS_MAX: usize = 100;

/// Looks, or resets. Status 0: sound or reset; 1: something was found or reset was not confirmed; 3: could
/// not look.
pub(super) fn run(doctor: &Doctor, json: bool) -> Result<ExitCode, Failure> {
    if doctor.reset_and_resync {
        return reset(doctor, json);
    }
    let cannot = |error: io::Error| Failure::no_answer(format!("it cannot be looked at: {error}"));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let copy = doctor::place_for_copy();
    let looked = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let looking = look(doctor, &copy)?;
        Ok(tokio::select! {
            examined = looking => Ok(examined),
            asked = signals.next() => Err(asked),
        })
    });
    match looked.map_err(cannot)? {
        Err(asked) => Ok(broken_off(asked, &copy)),
        Ok(Err(_)) => Err(Failure::no_answer("it cannot be looked at: a panic")),
        Ok(Ok(Err(error))) => Err(Failure::no_answer(error.to_string())),
        Ok(Ok(Ok(examined))) => {
            show(&examined, json)?;
            Ok(if examined.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// Looks, on a thread of its own: signals are heard meanwhile.
fn look(doctor: &Doctor, copy: &Path) -> io::Result<oneshot::Receiver<Result<Examined, OpenError>>> {
    let (told, looking) = oneshot::channel();
    let (directory, copy) = (doctor.data_dir.clone(), copy.to_owned());
    let terminal = io::stderr().is_terminal();
    thread::Builder::new().name("doctor".to_owned()).spawn(move || {
        let mut bar = Bar::default();
        let examined = doctor::examine_at(&directory, &copy, |done, all| {
            if terminal {
                bar.show(done, all);
            }
        });
        bar.clear();
        let _broken_off = told.send(examined);
    })?;
    Ok(looking)
}

/// Leaves no copy behind.
fn broken_off(asked: Asked, copy: &Path) -> ExitCode {
    let gone = (0..REMOVALS_MAX).any(|_| {
        let _tried_again = fs::remove_dir_all(copy);
        !copy.exists()
    });
    let left = if gone { String::new() } else { format!("; remove {}", copy.display()) };
    output::say(&format!("tidings: broken off ({}); nothing was changed{left}", asked.name()));
    asked.exit_code()
}

fn show(examined: &Examined, json: bool) -> Result<(), Failure> {
    if json {
        return output::line(&json!(examined).to_string());
    }
    let Examined { findings, more, entries, keys, .. } = examined;
    if findings.is_empty() {
        return output::line(&format!("sound: {keys} keys, {entries} entries looked at"));
    }
    let rows = findings.iter().map(|found| vec![found.part.into(), found.what.clone(), found.cure.into()]);
    output::line(&table(Some(&["PART", "FOUND", "CURE"]), rows.collect()))?;
    if *more > 0 {
        output::line(&format!("… and {more} more"))?;
    }
    output::say("`tidings doctor --reset-and-resync` moves the store aside and has the peers fill a new one");
    Ok(())
}

fn reset(doctor: &Doctor, json: bool) -> Result<ExitCode, Failure> {
    let path = doctor.data_dir.display();
    if !doctor.yes {
        if !io::stdin().is_terminal() {
            return Err(Failure::usage("--reset-and-resync asks first: give --yes where nobody can answer"));
        }
        output::say(&format!(
            "The store in {path} is moved aside. What no peer holds is then not in the new one, keys below local-only prefixes \
             among it. Type `yes` to go on:"
        ));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        if read.is_err() || answer.trim() != "yes" {
            return Err(Failure::refused("nothing was changed"));
        }
    }
    let aside = doctor::reset(&doctor.data_dir).map_err(|error| Failure::no_answer(error.to_string()))?;
    if json {
        output::line(&json!({ "moved_to": aside }).to_string())?;
    } else {
        output::line(&format!("moved to {}; the identity is kept", aside.display()))?;
        output::say(&format!("start it again with `tidings node --data-dir {path}`: the peers fill it"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A bar on stderr, drawn when it would look different.
#[derive(Default)]
struct Bar {
    shown: Option<u64>,
}

impl Bar {
    fn show(&mut self, done: u64, all: u64) {
        let filled = done * BAR / all.max(1);
        if self.shown.replace(filled) != Some(filled) {
            let bar: String = (0..BAR).map(|place| if place < filled { '#' } else { '.' }).collect();
            let _ = write!(io::stderr().lock(), "\r[{bar}] {done} entries");
        }
    }

    fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
