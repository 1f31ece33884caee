//! The system calls that the standard library does not have: all of this crate's `unsafe`.
#![expect(
    unsafe_code,
    reason = "recvmmsg(2), poll(2) and getsockopt(2) have no safe wrapper in std"
)]

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// Datagrams taken by one system call at most.
pub const BATCH: usize = 64;

/// Larger than any UDP payload (65,507 bytes over IPv4), so only a Unix datagram can be cut.
pub const SIZE: usize = 65_536;

/// How many bytes behind a datagram may be read or written, whatever its length.
pub const SLACK: usize = 96;

// Buffers that are a multiple of 4 KiB apart would share the same few sets of every cache, so they
// are 23 cache lines more apart: as many as a packet of an Ethernet fills.
const STRIDE: usize = SIZE + 23 * 64;

/// One received datagram: where it is in the buffers, and whether its end is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Offset of the first byte.
    pub start: usize,
    /// How many bytes are there.
    pub length: usize,
    /// How many bytes were sent.
    pub true_length: usize,
}

impl Datagram {
    /// Whether the datagram was longer than the buffer.
    #[must_use]
    pub const fn is_cut(self) -> bool {
        self.true_length > self.length
    }
}

/// Buffers for `BATCH` datagrams and what recvmmsg(2) wants to know about them.
pub struct Batch {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    arena: Box<[u8]>,
    received: usize,
}

impl Batch {
    /// Lay the buffers out; pages that nothing is received into cost no memory.
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: both are plain old data, for which all zeros is a valid value.
        let (header, vector) = unsafe { (zeroed(), zeroed()) };
        Self {
            headers: vec![header; BATCH].into_boxed_slice(),
            vectors: vec![vector; BATCH].into_boxed_slice(),
            arena: vec![0_u8; BATCH * STRIDE + SLACK].into_boxed_slice(),
            received: 0,
        }
    }

    /// Take what has arrived, at most `BATCH` datagrams, without waiting for any.
    ///
    /// # Errors
    ///
    /// What recvmmsg(2) says; `WouldBlock` when nothing has arrived.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.received = 0;
        self.point();
        // SAFETY: every header points to one iovec and that to SIZE writable bytes of the arena,
        // all owned by `self`, which is borrowed mutably for the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len().try_into().expect("BATCH is small"),
                // With MSG_TRUNC the length is the true one, also of a datagram that was cut.
                (libc::MSG_DONTWAIT | libc::MSG_TRUNC) as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// Let the headers point to the buffers, anew for every call: so no pointer outlives a borrow.
    fn point(&mut self) {
        let buffers = self.arena.chunks_exact_mut(STRIDE);
        for ((header, vector), buffer) in
            self.headers.iter_mut().zip(&mut self.vectors).zip(buffers)
        {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = SIZE;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
    }

    /// The datagrams of the last `receive`, in the order in which they came, and all buffers.
    ///
    /// `SLACK` bytes behind every datagram are free to be overwritten.
    pub fn received(&mut self) -> (impl ExactSizeIterator<Item = Datagram>, &mut [u8]) {
        let datagrams = self.headers[..self.received].iter().enumerate().map(|(at, header)| {
            let true_length = header.msg_len as usize;
            Datagram { start: at * STRIDE, length: true_length.min(SIZE), true_length }
        });
        (datagrams, &mut self.arena)
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

/// Wait until `socket` is readable or `stop` is (or was closed at the other end).
///
/// Returns whether `stop` is.
///
/// # Errors
///
/// What poll(2) says, but for EINTR.
pub fn wait(socket: BorrowedFd<'_>, stop: BorrowedFd<'_>) -> io::Result<bool> {
    let mut polled = [socket, stop].map(|fd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    });
    loop {
        // SAFETY: the array has two entries and lives as long as the call.
        let count = unsafe { libc::poll(polled.as_mut_ptr(), 2, -1) };
        if count >= 0 {
            return Ok(polled[1].revents != 0);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Another descriptor for the same socket, which stays open when the first one is closed.
///
/// # Errors
///
/// When there is no such descriptor, or no room for another.
pub fn duplicate(descriptor: i32) -> io::Result<OwnedFd> {
    // SAFETY: fcntl(2) may be asked about any number; one that is no descriptor is an error.
    let copy = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// How many datagrams the kernel has dropped at this socket since it was opened.
///
/// The ninth word of `SO_MEMINFO` is `sk_drops` (net/core/sock.c, `sk_get_meminfo`). Unlike the
/// count that `SO_RXQ_OVFL` attaches to the next datagram, it needs no next datagram.
///
/// # Errors
///
/// What getsockopt(2) says.
pub fn drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    option::<[u32; 9]>(socket, libc::SO_MEMINFO).map(|words| words[8])
}

/// What tells a socket from all others, whichever descriptor it is asked by; never used again.
///
/// # Errors
///
/// What getsockopt(2) says.
pub fn cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    option(socket, libc::SO_COOKIE)
}

/// The size of the receive buffer in bytes, as the kernel accounts it.
///
/// # Errors
///
/// What getsockopt(2) says.
pub fn receive_buffer(socket: BorrowedFd<'_>) -> io::Result<usize> {
    option::<libc::c_int>(socket, libc::SO_RCVBUF).map(|size| usize::try_from(size).unwrap_or(0))
}

/// Whether this is a Unix socket, whose kernel side drops nothing: a sender is told instead.
///
/// # Errors
///
/// What getsockopt(2) says.
pub fn is_unix(socket: BorrowedFd<'_>) -> io::Result<bool> {
    option::<libc::c_int>(socket, libc::SO_DOMAIN).map(|domain| domain == libc::AF_UNIX)
}

fn option<T: Copy + Default>(socket: BorrowedFd<'_>, name: libc::c_int) -> io::Result<T> {
    let mut value = T::default();
    let mut length = size_of::<T>().try_into().expect("options are small");
    // SAFETY: the kernel writes at most `length` bytes, the size of `value`; T is an integer or an
    // array of integers, for which every bit pattern is valid.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            ptr::from_mut(&mut value).cast(),
            &raw mut length,
        )
    };
    if status == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    fn pair() -> (UdpSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        (receiver, sender)
    }

    fn texts(batch: &mut Batch) -> Vec<String> {
        let (datagrams, arena) = batch.received();
        let bytes = |at: Datagram| arena[at.start..at.start + at.length].to_vec();
        datagrams.map(|datagram| String::from_utf8(bytes(datagram)).unwrap()).collect()
    }

    #[test]
    fn a_short_batch_has_what_came_and_nothing_of_an_earlier_one() {
        let (receiver, sender) = pair();
        let mut batch = Batch::new();
        for lines in [&["a", "bb", "ccc"][..], &["d"]] {
            for line in lines {
                sender.send(line.as_bytes()).unwrap();
            }
            assert_eq!(batch.receive(receiver.as_fd()).unwrap(), lines.len());
            assert_eq!(texts(&mut batch), lines);
        }
        let error = batch.receive(receiver.as_fd()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(batch.received().0.len(), 0);
    }

    #[test]
    fn a_cut_datagram_says_how_long_it_was() {
        let (receiver, sender) = UnixDatagram::pair().unwrap();
        sender.send(&vec![b'x'; SIZE + 7]).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(receiver.as_fd()).unwrap(), 1);
        let datagram = batch.received().0.next().unwrap();
        assert!(datagram.is_cut());
        assert_eq!((datagram.length, datagram.true_length), (SIZE, SIZE + 7));
    }

    #[test]
    fn waiting_ends_when_a_datagram_comes_and_when_the_other_end_is_dropped() {
        let (receiver, sender) = pair();
        let (stop, other_end) = UnixStream::pair().unwrap();
        sender.send(b"a").unwrap();
        assert!(!wait(receiver.as_fd(), stop.as_fd()).unwrap());
        drop(other_end);
        assert!(wait(receiver.as_fd(), stop.as_fd()).unwrap());
    }

    #[test]
    fn drops_are_counted_to_the_last_datagram() {
        let (receiver, sender) = pair();
        let mut batch = Batch::new();
        for _ in 0..20_000 {
            sender.send(&[b'x'; 500]).unwrap();
        }
        let mut taken = 0;
        while let Ok(count) = batch.receive(receiver.as_fd()) {
            taken += count;
        }
        assert_eq!(taken + drops(receiver.as_fd()).unwrap() as usize, 20_000);
        assert!(taken < 20_000);
    }

    #[test]
    fn a_copy_of_a_descriptor_outlives_it() {
        let (receiver, sender) = pair();
        let copy = duplicate(receiver.as_raw_fd()).unwrap();
        drop(receiver);
        sender.send(b"a").unwrap();
        assert_eq!(Batch::new().receive(copy.as_fd()).unwrap(), 1);
        assert_eq!(duplicate(-1).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn a_socket_is_the_same_by_every_descriptor() {
        let (receiver, sender) = pair();
        let copy = duplicate(receiver.as_raw_fd()).unwrap();
        let cookies = [receiver.as_fd(), copy.as_fd(), sender.as_fd()].map(cookie);
        let [one, same, other] = cookies.map(Result::unwrap);
        assert!(one == same && one != other);
    }

    #[test]
    fn a_unix_socket_is_told_from_an_internet_one() {
        let (receiver, _) = UnixDatagram::pair().unwrap();
        assert!(is_unix(receiver.as_fd()).unwrap());
        assert!(!is_unix(pair().0.as_fd()).unwrap());
        assert!(receive_buffer(receiver.as_fd()).unwrap() > 0);
    }
}
