//! The receive loop: one thread a socket, many datagrams a system call.
//!
//! A reader never waits for a batch to fill: it takes what has arrived, and sleeps in poll(2) when
//! there is nothing.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::accounts::Traffic;
use crate::shard::Shard;
use crate::shared::{Shared, locked};
use crate::sys::{self, Batch};
use crate::wire::dialect::Dialect;

/// What a Unix datagram socket may hold: 512 datagrams (`net.unix.max_dgram_qlen`, as systemd sets
/// it).
const MOST_WAITING: usize = 512 * sys::SIZE;

/// Batches that are taken between two looks at whether to stop.
const TURN: usize = 64;

/// One socket and the thread that reads it; dropping it ends the thread.
pub struct Reader {
    /// What it received.
    pub shard: Arc<Mutex<Shard>>,
    socket: Arc<OwnedFd>,
    label: String,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    drops: Mutex<Option<Drops>>,
}

/// The kernel's count, which wraps around, and ours, which does not.
#[derive(Clone, Copy, Default)]
struct Drops {
    seen: u32,
    counted: u64,
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
        let socket = Arc::new(socket);
        let own = Arc::new(Mutex::new(Shard::new(opened, &shared.form)));
        let drops = if sys::is_unix(socket.as_fd())? { None } else { Some(Drops::default()) };
        let (stop, stopped) = UnixStream::pair()?;
        let receiving = Receiving {
            socket: Arc::clone(&socket),
            label: label.to_owned(),
            dialect,
            shared,
            shard: Arc::clone(&own),
            stopped,
        };
        let thread =
            thread::Builder::new().name("vitald-reader".into()).spawn(|| receiving.run())?;
        let reader = Self {
            shard: own,
            socket,
            label: label.to_owned(),
            stop: Some(stop),
            thread: Some(thread),
            drops: Mutex::new(drops),
        };
        reader.count_drops();
        Ok(reader)
    }

    /// Take what the kernel still holds, then stop.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is known already: it has poisoned its shard.
            let _ = thread.join();
        }
        self.count_drops();
    }

    /// Enter in the shard's books how many datagrams the kernel dropped.
    pub fn count_drops(&self) {
        let mut drops = locked(&self.drops);
        if let Some(drops) = drops.as_mut() {
            if let Ok(now) = sys::drops(self.socket.as_fd()) {
                drops.counted += u64::from(now.wrapping_sub(drops.seen));
                drops.seen = now;
            }
            let mut shard = locked(&self.shard);
            shard.accounts.listener(&self.label).kernel_dropped = Some(drops.counted);
        } else {
            // Enters the listener, with nothing received yet.
            locked(&self.shard).accounts.listener(&self.label);
        }
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
    dialect: Dialect,
    shared: Arc<Shared>,
    shard: Arc<Mutex<Shard>>,
    stopped: UnixStream,
}

impl Receiving {
    fn run(self) {
        let mut batch = Batch::new();
        loop {
            match sys::wait(self.socket.as_fd(), self.stopped.as_fd()) {
                // Whether to stop must be looked at under any load.
                Ok(false) => {
                    let _ = (0..TURN).all(|_| self.receive(&mut batch).is_some());
                }
                Ok(true) => break,
                Err(_) => {
                    // A socket that cannot even be waited for will not come back.
                    self.enter_error();
                    return;
                }
            }
        }
        // A bound that a flooding sender cannot stretch.
        let room = sys::receive_buffer(self.socket.as_fd()).unwrap_or(0);
        let mut left = room.max(MOST_WAITING);
        while let Some(taken) = self.receive(&mut batch).filter(|_| left > 0) {
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
        locked(&self.shard).accounts.listener(&self.label).errors += 1;
    }

    fn take(&self, batch: &mut Batch) -> usize {
        let mut shard = locked(&self.shard);
        let (datagrams, text) = batch.received();
        let mut received = Traffic::default();
        let counted = datagrams.inspect(|datagram| {
            received.datagrams += 1;
            received.bytes += datagram.true_length as u64;
        });
        shard.take(&self.shared, &self.dialect, text, counted);
        let bytes = received.bytes;
        shard.accounts.listener(&self.label).merge(&received);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
