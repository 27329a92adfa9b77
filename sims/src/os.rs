//! What a program asks of the kernel and a simulation must answer: entropy and the time.
//!
//! Two symbols of libc are defined here, `getrandom` and `clock_gettime`, so that the hashing keys of
//! std, the generators of `rand`, Noise's keys and every clock come from the seed. All state belongs
//! to the thread: other threads (a store's workers, the test harness) get the real thing. Linux only;
//! whatever links this crate gets the symbols, so nothing but simulations may link it.
//!
//! std, `rand` and tokio draw once a thread: one simulation is one fresh thread.

#![expect(unsafe_code, reason = "the symbols are C's")]

use std::{cell::Cell, time::Duration};

use super::dice::Dice;

/// The virtual time of day at which every simulation begins: 14 November 2023, 22:13:20 UTC.
pub const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// What the monotonic clock shows at the beginning.
const BOOTED: Duration = Duration::from_secs(1_000);

thread_local! {
    // Constants without destructors, so that they can be read while a thread starts and ends.
    static DICE: Cell<Option<Dice>> = const { Cell::new(None) };
    static STARTED: Cell<Option<tokio::time::Instant>> = const { Cell::new(None) };
    static ELAPSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// A thread whose entropy and clocks come from a seed, until this is dropped.
#[must_use]
pub struct Virtual(());

impl Virtual {
    /// To be called on a fresh thread, before anything else there.
    pub fn begin(seed: u64) -> Self {
        DICE.set(Some(Dice::of(seed, "entropy")));
        ELAPSED.set(Duration::ZERO);
        STARTED.set(None);
        Self(())
    }

    /// From here on clocks show tokio's time. To be called within the paused runtime, first thing.
    pub fn clocks_start(&self) {
        STARTED.set(Some(tokio::time::Instant::now()));
        web_time::virtual_epoch(Some(EPOCH));
    }
}

impl Drop for Virtual {
    fn drop(&mut self) {
        DICE.set(None);
        STARTED.set(None);
        web_time::virtual_epoch(None);
    }
}

/// Virtual time since the clocks started.
#[must_use]
pub fn elapsed() -> Duration {
    // tokio's clock asks the system's where there is no runtime: that would come back to here.
    if let (Some(started), false) = (STARTED.get(), ASKING.get())
        && tokio::runtime::Handle::try_current().is_ok()
    {
        ASKING.set(true);
        ELAPSED.set(tokio::time::Instant::now() - started);
        ASKING.set(false);
    }
    ELAPSED.get()
}

/// Real time, also within a simulation: for progress and figures.
#[must_use]
pub fn real() -> Duration {
    ask_kernel(libc::CLOCK_MONOTONIC)
}

/// How long this thread has been computing.
#[must_use]
pub fn thread_cpu() -> Duration {
    ask_kernel(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn ask_kernel(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that outlives the call.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// # Safety
/// As libc's: `buffer` has room for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    length: libc::size_t,
    flags: libc::c_uint,
) -> isize {
    let Some(mut dice) = DICE.get() else {
        // SAFETY: the caller's buffer, handed on.
        let got = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return isize::try_from(got).unwrap_or(-1);
    };
    // SAFETY: the caller says that there is room.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&dice.bits().to_le_bytes()[..chunk.len()]);
    }
    DICE.set(Some(dice));
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// # Safety
/// As libc's: `time` points to a timespec.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let base = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => EPOCH,
        libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_COARSE | libc::CLOCK_BOOTTIME => BOOTED,
        _ => Duration::ZERO,
    };
    if DICE.get().is_none() || base.is_zero() {
        // SAFETY: the caller's timespec, handed on.
        let done = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
        return libc::c_int::try_from(done).unwrap_or(-1);
    }
    let now = base + elapsed();
    let shown = libc::timespec {
        tv_sec: libc::time_t::try_from(now.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(now.subsec_nanos()),
    };
    // SAFETY: the caller says that it is a timespec.
    unsafe { time.write(shown) };
    0
}
