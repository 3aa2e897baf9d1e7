//! The functions of `msup.h`. The header documents them; here is what they do with pointers.
//!
//! A process has one task loop, and one thread calls these functions: the one that attached.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::slice;
use std::time::Duration;

use msup_worker::by_hand::{StepError, Stream, TaskLoop};

thread_local! {
    static LOOP: RefCell<State> =
        const { RefCell::new(State { task_loop: None, value: Vec::new(), error: None }) };
}

struct State {
    task_loop: Option<TaskLoop>,
    /// The value of the running task, and a NUL byte: C programs open it as a path.
    value: Vec<u8>,
    error: Option<CString>,
}

/// `struct msup_task`.
#[repr(C)]
#[derive(Debug)]
pub struct CTask {
    value: *const u8,
    length: usize,
    number: u64,
    attempt: u32,
    state: *const u8,
    state_length: usize,
}

const ERROR: c_int = -1;

const NOT_ATTACHED: &str = "call msup_attach() first, in the same thread";

/// Runs a step; an error is remembered for `msup_error()`.
fn step(run: impl FnOnce(&mut State) -> Result<c_int, String>) -> c_int {
    LOOP.with_borrow_mut(|state| match run(state) {
        Ok(status) => {
            state.error = None;
            status
        }
        Err(why) => {
            state.error = CString::new(why.replace('\0', "")).ok();
            ERROR
        }
    })
}

/// The same for a step of an attached loop.
fn attached(run: impl FnOnce(&mut TaskLoop) -> Result<c_int, StepError>) -> c_int {
    step(|state| {
        let task_loop = state.task_loop.as_mut();
        let task_loop = task_loop.ok_or(NOT_ATTACHED)?;
        run(task_loop).map_err(|why| why.to_string())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn msup_attach() -> c_int {
    step(|state| {
        if state.task_loop.is_some() {
            return Err("msup_attach() was called before".into());
        }
        let task_loop = TaskLoop::attach().map_err(|why| why.to_string())?;
        let is_supervised = task_loop.is_supervised();
        state.task_loop = Some(task_loop);
        Ok(is_supervised.into())
    })
}

/// # Safety
/// `task` points to a `struct msup_task`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msup_next(task: *mut CTask) -> c_int {
    step(|State { task_loop, value: kept, .. }| {
        let task_loop = task_loop.as_mut().ok_or(NOT_ATTACHED)?;
        let Some(next) = task_loop.next_task().map_err(|why| why.to_string())? else {
            return Ok(0);
        };
        kept.clear();
        kept.extend_from_slice(next.value());
        kept.push(0);
        let (number, attempt) = (next.seq(), next.attempt());
        let (state, state_length) =
            next.state().map_or((ptr::null(), 0), |state| (state.as_ptr(), state.len()));
        let (value, length) = (kept.as_ptr(), next.value().len());
        let next = CTask { value, length, number, attempt, state, state_length };
        // SAFETY: the caller's promise. The value lives until the outcome is reported.
        unsafe { task.write(next) };
        Ok(1)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn msup_enter() {
    LOOP.with_borrow_mut(|state| state.task_loop.as_mut().map(TaskLoop::enter));
}

#[unsafe(no_mangle)]
pub extern "C" fn msup_exit() {
    LOOP.with_borrow_mut(|state| state.task_loop.as_mut().map(TaskLoop::exit));
}

#[unsafe(no_mangle)]
pub extern "C" fn msup_checkpoint() {
    LOOP.with_borrow_mut(|state| state.task_loop.as_mut().map(TaskLoop::checkpoint));
}

/// # Safety
/// `length` bytes can be read at `bytes`, which may be null if that is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msup_write(stream: c_int, bytes: *const c_void, length: usize) -> c_int {
    // SAFETY: the caller's promise.
    let bytes = unsafe { borrowed(bytes, length) };
    step(|state| {
        let stream = match stream {
            0 => Stream::Result,
            1 => Stream::Stdout,
            2 => Stream::Stderr,
            other => return Err(format!("there is no stream {other}")),
        };
        let task_loop = state.task_loop.as_mut();
        let task_loop = task_loop.ok_or(NOT_ATTACHED)?;
        task_loop.write(stream, bytes).map(|()| 0).map_err(|why| why.to_string())
    })
}

/// # Safety
/// As for [`msup_write`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msup_emit(value: *const c_void, length: usize) -> c_int {
    // SAFETY: the caller's promise.
    let value = unsafe { borrowed(value, length) };
    attached(|task_loop| task_loop.emit(value).map(|()| 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn msup_done() -> c_int {
    attached(|task_loop| task_loop.done().map(|()| 0))
}

/// # Safety
/// As for [`msup_write`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msup_done_with(result: *const c_void, length: usize) -> c_int {
    // SAFETY: the caller's promise.
    let result = unsafe { borrowed(result, length) };
    attached(|task_loop| {
        task_loop.write(Stream::Result, result)?;
        task_loop.done().map(|()| 0)
    })
}

/// # Safety
/// As for [`msup_write`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msup_fail(why: *const c_char, length: usize) -> c_int {
    // SAFETY: the caller's promise.
    let why = unsafe { borrowed(why.cast(), length) };
    attached(|task_loop| task_loop.fail(&String::from_utf8_lossy(why)).map(|()| 0))
}

/// # Safety
/// As for [`msup_write`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msup_park(ms: u64, state: *const c_void, length: usize) -> c_int {
    // SAFETY: the caller's promise.
    let state = unsafe { borrowed(state, length) };
    attached(|task_loop| task_loop.park(Duration::from_millis(ms), state).map(|()| 0))
}

#[unsafe(no_mangle)]
pub extern "C" fn msup_error() -> *const c_char {
    LOOP.with_borrow(|state| state.error.as_ref().map_or(ptr::null(), |error| error.as_ptr()))
}

#[unsafe(no_mangle)]
pub extern "C" fn msup_exit_status() -> c_int {
    LOOP.with_borrow(|state| state.task_loop.as_ref().map_or(0, TaskLoop::exit_status).into())
}

/// # Safety
/// `length` bytes can be read at `bytes`, unless it is 0.
unsafe fn borrowed<'a>(bytes: *const c_void, length: usize) -> &'a [u8] {
    if length == 0 || bytes.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(bytes.cast(), length) }
}
