//! Where fingerprints are remembered between two uses.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::text::quoted;
use crate::transport::http::fingerprint::Fingerprint;

/// A place that remembers which certificate each host showed first.
///
/// Hosts are named as they are connected to, with their port: `phantom.lan:443`.
pub trait PinStore: Send + Sync {
    /// The fingerprint that is remembered for a host.
    ///
    /// # Errors
    /// Whatever keeps it from being known; the host is then not trusted.
    fn pin(&self, host: &str) -> Result<Option<Fingerprint>>;

    /// Remembers a fingerprint, unless one is known; returns the one that counts.
    ///
    /// Of two callers at the same time, both get the fingerprint of the one that was first.
    ///
    /// # Errors
    /// Whatever keeps it from being remembered; the host is then not trusted.
    fn remember(&self, host: &str, fingerprint: Fingerprint) -> Result<Fingerprint>;
}

impl<S: PinStore + ?Sized> PinStore for Arc<S> {
    fn pin(&self, host: &str) -> Result<Option<Fingerprint>> {
        (**self).pin(host)
    }

    fn remember(&self, host: &str, fingerprint: Fingerprint) -> Result<Fingerprint> {
        (**self).remember(host, fingerprint)
    }
}

/// Remembers as long as the program runs.
#[derive(Debug, Default)]
pub struct MemoryPins(Mutex<BTreeMap<String, Fingerprint>>);

impl PinStore for MemoryPins {
    fn pin(&self, host: &str) -> Result<Option<Fingerprint>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied())
    }

    fn remember(&self, host: &str, fingerprint: Fingerprint) -> Result<Fingerprint> {
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(*pins.entry(host.to_owned()).or_insert(fingerprint))
    }
}

/// Remembers in a file, one line a host: `phantom.lan:443 SHA256:4B:8F:…`.
///
/// The file is made with mode 0600, and refused if others may write to it. Lines are only ever
/// added, each by one write to the end of the file, and the first that names a host counts: so any
/// number of processes may use one file, none waits for another, and none loses what another wrote.
/// [`forget`](Self::forget) adds a line too. A line that cannot be read makes the whole file
/// refused: no pin is ever dropped in silence.
#[derive(Clone, Debug)]
pub struct FilePins(PathBuf);

/// What stands for a fingerprint in a line that forgets.
const FORGOTTEN: &str = "-";

impl FilePins {
    /// Remembers in this file, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it remembers.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Forgets a host, whose next certificate is then trusted.
    ///
    /// # Errors
    /// `InvalidInput` if the file cannot be written.
    pub fn forget(&self, host: &str) -> Result<()> {
        self.append(host, FORGOTTEN).map(drop)
    }

    /// All hosts that are remembered, with their fingerprints.
    ///
    /// # Errors
    /// `InvalidInput` if the file cannot be read.
    pub fn pins(&self) -> Result<BTreeMap<String, Fingerprint>> {
        match File::open(&self.0) {
            Ok(mut file) => self.read(&mut file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(self.wrong("cannot be read").with_source(error)),
        }
    }

    fn append(&self, host: &str, pin: &str) -> Result<BTreeMap<String, Fingerprint>> {
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{} is no host", quoted(host)),
            ));
        }
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let write = |error| self.wrong("cannot be written").with_source(error);
        let mut file = options.open(&self.0).map_err(write)?;
        self.check_mode(&file)?;
        // It begins with a line end, in case somebody's last line has none.
        file.write_all(format!("\n{host} {pin}\n").as_bytes()).map_err(write)?;
        file.sync_data().map_err(write)?;
        file.rewind().map_err(write)?;
        self.read(&mut file)
    }

    fn read(&self, file: &mut File) -> Result<BTreeMap<String, Fingerprint>> {
        self.check_mode(file)?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| self.wrong("cannot be read").with_source(error))?;
        let mut pins = BTreeMap::new();
        for (n, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || self.wrong(&format!("has no host and fingerprint in line {}", n + 1));
            let (host, pin) = line.trim().split_once(' ').ok_or_else(wrong)?;
            if pin == FORGOTTEN {
                pins.remove(host);
            } else {
                let pin = pin.parse().map_err(|error| wrong().with_source(error))?;
                pins.entry(host.to_owned()).or_insert(pin);
            }
        }
        Ok(pins)
    }

    #[cfg(unix)]
    fn check_mode(&self, file: &File) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let metadata =
            file.metadata().map_err(|error| self.wrong("cannot be read").with_source(error))?;
        if metadata.permissions().mode() & 0o022 != 0 {
            return Err(self.wrong("can be written by others than its owner"));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_mode(&self, _: &File) -> Result<()> {
        Ok(())
    }

    fn wrong(&self, why: &str) -> Error {
        Error::new(
            ErrorKind::InvalidInput,
            format!("the file of known certificates, {}, {why}", self.0.display()),
        )
    }
}

impl PinStore for FilePins {
    fn pin(&self, host: &str) -> Result<Option<Fingerprint>> {
        Ok(self.pins()?.get(host).copied())
    }

    fn remember(&self, host: &str, fingerprint: Fingerprint) -> Result<Fingerprint> {
        let pins = self.append(host, &fingerprint.to_string())?;
        pins.get(host).copied().ok_or_else(|| self.wrong("was changed while it was written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TemporaryFile(FilePins);

    impl TemporaryFile {
        fn new(name: &str) -> Self {
            let name = format!("xcp_pool-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = std::fs::remove_file(&path);
            Self(FilePins::new(path))
        }
    }

    impl Drop for TemporaryFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(self.0.path());
        }
    }

    #[test]
    fn a_file_remembers_the_first_fingerprint_of_each_host() {
        let file = TemporaryFile::new("first");
        let pins = &file.0;
        let (a, b) = (Fingerprint::of(b"a"), Fingerprint::of(b"b"));
        assert_eq!(pins.pin("phantom:443").unwrap(), None);
        assert_eq!(pins.remember("phantom:443", a).unwrap(), a);
        assert_eq!(pins.remember("phantom:443", b).unwrap(), a);
        assert_eq!(pins.remember("ignite:443", b).unwrap(), b);
        assert_eq!(FilePins::new(pins.path()).pin("phantom:443").unwrap(), Some(a));
        pins.forget("phantom:443").unwrap();
        assert_eq!(pins.pin("phantom:443").unwrap(), None);
        assert_eq!(pins.remember("phantom:443", b).unwrap(), b);
        assert_eq!(pins.pins().unwrap().len(), 2);
        pins.remember("two words", b).unwrap_err();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let file = TemporaryFile::new("mode");
        file.0.remember("phantom:443", Fingerprint::of(b"a")).unwrap();
        let mode = || std::fs::metadata(file.0.path()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(file.0.path(), PermissionsExt::from_mode(0o620)).unwrap();
        let error = file.0.pin("phantom:443").unwrap_err();
        assert!(error.to_string().contains("written by others"), "{error}");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_skipped() {
        let file = TemporaryFile::new("line");
        let pins = &file.0;
        pins.remember("phantom:443", Fingerprint::of(b"a")).unwrap();
        std::fs::write(pins.path(), "# mine\n\nphantom:443 SHA256:00:11\n").unwrap();
        let error = pins.pin("phantom:443").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
        pins.remember("phantom:443", Fingerprint::of(b"a")).unwrap_err();
    }

    #[test]
    fn writers_at_the_same_time_agree_and_lose_nothing() {
        let file = TemporaryFile::new("writers");
        let agreed: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16_u8)
                .map(|n| {
                    let pins = file.0.clone();
                    scope.spawn(move || {
                        pins.remember(&format!("host-{n}:443"), Fingerprint::of(&[n])).unwrap();
                        pins.remember("phantom:443", Fingerprint::of(&[n])).unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(agreed.iter().all(|pin| *pin == agreed[0]));
        assert_eq!(file.0.pins().unwrap().len(), 17);
    }
}
