//! The yardstick of the benchmarks: receives as the engine's readers do, and only counts newlines.
//!
//! Standard input is the bound UDP socket. Standard output is one end of a stream socket: a line
//! that arrives there is answered with the counts as one line of JSON, its end ends the program.
//! Ask while no load runs: a question is looked at when nothing is left to receive.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use memchr::memchr_iter;
use vitald_core::sys::{self, Batch};

#[derive(Default)]
struct Counts {
    datagrams: u64,
    bytes: u64,
    newlines: u64,
}

impl Counts {
    fn take(&mut self, batch: &mut Batch) {
        let (datagrams, arena) = batch.received();
        for datagram in datagrams {
            let bytes = &arena[datagram.start..][..datagram.length];
            self.datagrams += 1;
            self.bytes += bytes.len() as u64;
            self.newlines += memchr_iter(b'\n', bytes).count() as u64;
        }
    }

    fn write(&self, to: &mut impl Write, kernel_dropped: u32) -> io::Result<()> {
        let Self { datagrams, bytes, newlines } = self;
        writeln!(
            to,
            "{{\"datagrams\": {datagrams}, \"bytes\": {bytes}, \"newlines\": {newlines}, \
             \"kernel_dropped\": {kernel_dropped}}}"
        )
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "cannot receive on standard input: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let input = io::stdin();
    let socket = input.as_fd();
    let mut answers = UnixStream::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut questions = BufReader::new(answers.try_clone()?);
    let mut question = String::new();
    let (mut batch, mut counts) = (Batch::new(), Counts::default());
    loop {
        match batch.receive(socket) {
            Ok(_) => counts.take(&mut batch),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if !sys::wait(socket, answers.as_fd())? {
                    continue;
                }
                question.clear();
                if questions.read_line(&mut question)? == 0 {
                    return Ok(());
                }
                counts.write(&mut answers, sys::drops(socket)?)?;
            }
            Err(error) => return Err(error),
        }
    }
}
