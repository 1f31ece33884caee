//! The receive loop: one thread a socket, many datagrams a system call.
//!
//! A reader never waits for a batch to fill: it takes what has arrived, and sleeps in poll(2) when
//! there is nothing. It holds its shard while it takes a batch, but lets in who waits for it.

use std::io;
use std::iter;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::accounts::Traffic;
use crate::priority::PriorityMutex;
use crate::shard::Shard;
use crate::shared::{Shared, locked};
use crate::sys::{self, Batch};
use crate::wire::dialect::Dialect;

/// What a Unix datagram socket may hold: 512 datagrams (`net.unix.max_dgram_qlen`, as systemd sets
/// it). Its receive buffer bounds nothing; that of the sender does.
const MOST_WAITING: usize = 512 * sys::SIZE;

/// Time to take what the kernel still holds, when a reader is stopped.
const LONGEST_DRAIN: Duration = Duration::from_secs(1);

/// Bytes that are taken before anybody who waits for the shard gets it.
const TURN: u64 = 16_384;

/// One socket and the thread that reads it; dropping it ends the thread.
pub struct Reader {
    shard: Arc<PriorityMutex<Shard>>,
    socket: Arc<OwnedFd>,
    label: String,
    is_unix: bool,
    shared: Arc<Shared>,
    is_stopped: Arc<AtomicBool>,
    running: Mutex<Option<Running>>,
}

/// The thread, and what wakes it when it is dropped.
struct Running {
    wake: UnixStream,
    thread: JoinHandle<()>,
    /// Which process it runs in: one that was forked has none of its parent's threads.
    process: u32,
}

impl Reader {
    /// Start reading a bound datagram socket into a shard of its own, whose slot began at `opened`.
    ///
    /// # Errors
    ///
    /// When the socket cannot be asked what it is, or no thread can be started.
    pub fn start(
        socket: OwnedFd,
        label: &str,
        dialect: Dialect,
        opened: f64,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let is_unix = sys::is_unix(socket.as_fd())?;
        let socket = Arc::new(socket);
        let own = Arc::new(PriorityMutex::new(Shard::new(opened, &shared.form)));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let (wake, woken) = UnixStream::pair()?;
        let receiving = Receiving {
            socket: Arc::clone(&socket),
            label: label.to_owned(),
            is_unix,
            dialect,
            shared: Arc::clone(&shared),
            shard: Arc::clone(&own),
            is_stopped: Arc::clone(&is_stopped),
            woken,
        };
        let thread =
            thread::Builder::new().name("vitald-reader".into()).spawn(|| receiving.run())?;
        let running = Mutex::new(Some(Running { wake, thread, process: process::id() }));
        let label = label.to_owned();
        let reader = Self { shard: own, socket, label, is_unix, shared, is_stopped, running };
        drop(reader.books());
        Ok(reader)
    }

    /// Take what the kernel still holds, for a second at most, then stop.
    ///
    /// What is left then of a sender who goes on stays with the socket, and is lost when that is
    /// closed. Nobody counts it: the kernel can only be asked how much memory it fills.
    pub fn stop(&self) {
        let running = locked(&self.running).take();
        if let Some(Running { wake, thread, process }) = running {
            if process != process::id() {
                mem::forget(thread);
                return;
            }
            self.is_stopped.store(true, Ordering::Release);
            drop(wake);
            // A panic of the thread is known already: it has poisoned its shard.
            let _ = thread.join();
        }
    }

    /// What it received; the thread gets on when the caller has done with it.
    pub fn shard(&self) -> MutexGuard<'_, Shard> {
        self.shard.lock_first()
    }

    /// What it received, and in its books how many datagrams the kernel has dropped.
    pub fn books(&self) -> MutexGuard<'_, Shard> {
        let mut shard = self.shard();
        // Enters the listener, also when nothing was received yet.
        let traffic = shard.accounts.listener(&self.label);
        if !self.is_unix {
            let fresh = self.shared.fresh_drops(self.socket.as_fd()).unwrap_or(0);
            *traffic.kernel_dropped.get_or_insert(0) += u64::from(fresh);
        }
        shard
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread has.
struct Receiving {
    socket: Arc<OwnedFd>,
    label: String,
    is_unix: bool,
    dialect: Dialect,
    shared: Arc<Shared>,
    shard: Arc<PriorityMutex<Shard>>,
    is_stopped: Arc<AtomicBool>,
    woken: UnixStream,
}

impl Receiving {
    fn run(self) {
        let mut batch = Batch::new();
        while !self.is_stopped.load(Ordering::Acquire) {
            if self.receive(&mut batch).is_none()
                && sys::wait(self.socket.as_fd(), self.woken.as_fd()).is_err()
            {
                // A socket that cannot even be waited for will not come back.
                self.enter_error();
                return;
            }
        }
        self.drain(&mut batch);
    }

    /// Take what the kernel holds, within bounds that a sender who goes on cannot stretch.
    fn drain(&self, batch: &mut Batch) {
        let buffer = || sys::receive_buffer(self.socket.as_fd()).unwrap_or(0);
        let mut left = if self.is_unix { MOST_WAITING } else { buffer() };
        let deadline = Instant::now() + LONGEST_DRAIN;
        while left > 0
            && Instant::now() < deadline
            && let Some(taken) = self.receive(batch)
        {
            left = left.saturating_sub(taken);
        }
    }

    /// Take one batch and return its bytes; nothing if there is none.
    fn receive(&self, batch: &mut Batch) -> Option<usize> {
        match batch.receive(self.socket.as_fd()) {
            Ok(_) => Some(self.take(batch)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Some(0),
            Err(_) => {
                self.enter_error();
                None
            }
        }
    }

    fn enter_error(&self) {
        self.shard.lock().accounts.listener(&self.label).errors += 1;
    }

    /// Enter a batch, in one go unless somebody waits for the shard.
    fn take(&self, batch: &mut Batch) -> usize {
        let (datagrams, text) = batch.received();
        let mut datagrams = datagrams.peekable();
        let mut bytes = 0;
        while datagrams.peek().is_some() {
            let mut shard = self.shard.lock();
            let mut received = Traffic::default();
            let turn = iter::from_fn(|| {
                if received.bytes >= TURN && self.shard.is_awaited() {
                    return None;
                }
                let datagram = datagrams.next()?;
                received.datagrams += 1;
                received.bytes += datagram.true_length as u64;
                Some(datagram)
            });
            shard.take(&self.shared, &self.dialect, text, turn);
            shard.accounts.listener(&self.label).merge(&received);
            bytes += received.bytes;
        }
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
