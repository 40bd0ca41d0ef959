//! Reading from a pipe that can be stopped from outside, for whoever holds its other end may never close it.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};

/// Stops the readers that were made of it when it is dropped.
#[derive(Debug)]
pub struct Stopper {
    stop: PipeReader,
    _held: PipeWriter,
}

impl Stopper {
    /// Without readers yet.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        let (stop, held) = io::pipe()?;
        Ok(Self { stop, _held: held })
    }

    /// A reader of `file` that is at its end when this is dropped.
    ///
    /// # Errors
    /// What the system says.
    pub fn reader(&self, file: OwnedFd) -> io::Result<Stoppable> {
        Ok(Stoppable { file: file.into(), stop: self.stop.try_clone()? })
    }
}

/// Reads until the end of the file or until it is stopped.
#[derive(Debug)]
pub struct Stoppable {
    file: File,
    stop: PipeReader,
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wait =
            [PollFd::new(&self.stop, PollFlags::IN), PollFd::new(&self.file, PollFlags::IN)];
        poll(&mut wait, None)?;
        if !wait[0].revents().is_empty() {
            return Ok(0);
        }
        self.file.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn data_comes_and_a_wait_ends_when_it_is_stopped() {
        let (reader, mut writer) = io::pipe().unwrap();
        let stopper = Stopper::new().unwrap();
        let mut stoppable = stopper.reader(reader.into()).unwrap();
        writer.write_all(b"abc").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(stoppable.read(&mut buffer).unwrap(), 3);
        let waiting = std::thread::spawn(move || stoppable.read(&mut [0; 8]));
        drop(stopper);
        assert_eq!(waiting.join().unwrap().unwrap(), 0);
        drop(writer);
    }
}
