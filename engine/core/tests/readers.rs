//! Readers under a flood: who asks is answered, who detaches is done soon, and the books balance.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant as Deadline};

use vitald_core::engine::{Engine, Settings};
use vitald_core::metric::Instant;
use vitald_core::wire::dialect::Dialect;

const SECOND: Duration = Duration::from_secs(1);

fn engine() -> Engine {
    let settings = Settings {
        interval: 10.0,
        windows: vec![10.0, 60.0],
        series_limit: 1000,
        series_expiry: 3600.0,
        set_exact_limit: 1000,
        histogram_scale: 6,
    };
    Engine::new(Instant { wall: 1_700_000_000.0, monotonic: 500.0 }, &settings)
}

fn attach(engine: &Engine, socket: impl Into<OwnedFd>, id: i32) {
    engine.attach(socket.into(), id, "label", Dialect::default()).unwrap();
}

fn udp() -> (UdpSocket, UdpSocket) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    (receiver, sender)
}

/// As many lines as fit into a datagram, none of which can be taken.
fn slow_lines() -> Vec<u8> {
    b"slow\n".repeat(12_000)
}

fn lines(engine: &Engine) -> u64 {
    engine.ledger().lines
}

fn received(engine: &Engine) -> (u64, u64) {
    let ledger = engine.ledger();
    let traffic = ledger.listeners.first().map(|(_, traffic)| *traffic).unwrap_or_default();
    (traffic.datagrams, traffic.kernel_dropped.unwrap_or(0))
}

/// Do something while a thread sends all it can; sending ends when it may not go on, or when the
/// socket is closed.
fn flooded<T>(send: impl Fn(&[u8]) -> bool + Sync, act: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let data = slow_lines();
            while !is_over.load(Ordering::Relaxed) {
                if !send(&data) {
                    break;
                }
            }
        });
        let done = act();
        is_over.store(true, Ordering::Relaxed);
        done
    })
}

/// Eight datagrams that wait in a socket before anybody reads it.
fn filled(name: &str) -> UnixDatagram {
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let receiver = UnixDatagram::bind_addr(&address).unwrap();
    for _ in 0..8 {
        // Each from a sender of its own, whose buffer has room for so much.
        UnixDatagram::unbound().unwrap().send_to_addr(&slow_lines(), &address).unwrap();
    }
    receiver
}

#[test]
fn a_question_is_answered_between_two_datagrams_of_a_batch() {
    let is_answered = |round: u32| {
        let engine = engine();
        attach(&engine, filled(&format!("vitald-test-{}-{round}", std::process::id())), 1);
        loop {
            match received(&engine).0 {
                0 => thread::yield_now(),
                count => break count < 8,
            }
        }
    };
    assert!((0..20).any(is_answered), "20 batches were taken whole");
}

#[test]
fn detaching_takes_no_more_than_the_receive_buffer_may_hold() {
    let engine = engine();
    let (receiver, sender) = udp();
    attach(&engine, receiver, 1);
    let taken = flooded(
        |data| sender.send(data).is_ok(),
        || {
            while lines(&engine) == 0 {
                thread::yield_now();
            }
            let before = received(&engine).0;
            engine.detach(1);
            received(&engine).0 - before
        },
    );
    assert!(taken < 200, "{taken} datagrams of 60 kB after a socket was detached");
}

#[test]
fn detaching_takes_about_a_second_at_most() {
    let engine = engine();
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    attach(&engine, receiver, 1);
    let took = flooded(
        |data| sender.send(data).is_ok(),
        || {
            while lines(&engine) == 0 {
                thread::yield_now();
            }
            let began = Deadline::now();
            engine.detach(1);
            began.elapsed()
        },
    );
    assert!(took < 4 * SECOND, "it took {took:?}");
}

#[test]
fn the_books_of_a_socket_are_open_while_it_is_detached() {
    let engine = engine();
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    attach(&engine, receiver, 1);
    let mut seen = flooded(
        |data| sender.send(data).is_ok(),
        || {
            while lines(&engine) == 0 {
                thread::yield_now();
            }
            thread::scope(|scope| {
                let detaching = scope.spawn(|| engine.detach(1));
                let mut seen = vec![lines(&engine)];
                while !detaching.is_finished() {
                    seen.push(lines(&engine));
                }
                seen.push(lines(&engine));
                seen
            })
        },
    );
    assert!(seen.is_sorted(), "lines were lost or came twice: {seen:?}");
    assert_eq!(*seen.last().unwrap(), received(&engine).0 * 12_000);
    seen.dedup();
    assert!(seen.len() > 5, "questions had to wait: {seen:?}");
}

#[test]
fn the_drops_of_a_socket_are_counted_once_however_often_it_is_attached() {
    let engine = engine();
    let (receiver, sender) = udp();
    for _ in 0..5000 {
        sender.send(&[b'x'; 500]).unwrap();
    }
    for id in [1, 2] {
        attach(&engine, receiver.try_clone().unwrap(), id);
    }
    engine.detach(1);
    attach(&engine, receiver, 3);
    engine.detach(2);
    engine.detach(3);
    let (datagrams, dropped) = received(&engine);
    assert!(dropped > 0);
    assert_eq!(datagrams + dropped, 5000);
}

#[test]
fn detaching_a_socket_ends_all_that_read_it() {
    let engine = engine();
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    for _ in 0..2 {
        attach(&engine, receiver.try_clone().unwrap(), 1);
    }
    drop(receiver);
    engine.detach(1);
    assert!(sender.send(b"a:1|c").is_err(), "nobody reads any more");
}
