//! A disk in memory that keeps only what was synced, and decides by a seeded generator what of the
//! rest survives a crash: any of the unsynced writes, in whatever order the disk took them, whole
//! or in pieces. Fails a write or a sync when it is told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::storage::{SegmentFile, Storage};

/// What goes wrong next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The machine stops in the middle of the operation.
    Crash,
    /// A write ends in the middle: the disk is full.
    Full,
    /// A sync fails, and the system forgets what it should have written.
    Sync,
}

#[derive(Debug, Clone)]
pub(super) struct SimDisk(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    rng: StdRng,
    files: BTreeMap<String, SimFile>,
    /// Removed files whose removal is not safe yet.
    removed: BTreeMap<String, SimFile>,
    /// Steps until the fault.
    fault: Option<(u32, Fault)>,
    crashed: bool,
    /// A write or sync has failed since the last boot: another one would be a retry.
    failed: bool,
    boots: u64,
    locked: bool,
}

#[derive(Debug, Clone, Default)]
struct SimFile {
    /// Survives everything.
    safe: Vec<u8>,
    /// What `safe` was before a cut that is not safe yet.
    uncut: Option<Vec<u8>>,
    /// Appended and not synced, write by write.
    pending: Vec<Vec<u8>>,
    name_is_safe: bool,
}

struct Open {
    disk: SimDisk,
    name: String,
    boot: u64,
}

struct Lock(SimDisk);

// === impl SimDisk ===

impl SimDisk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            rng: StdRng::seed_from_u64(seed),
            files: BTreeMap::new(),
            removed: BTreeMap::new(),
            fault: None,
            crashed: false,
            failed: false,
            boots: 0,
            locked: false,
        })))
    }

    /// Goes wrong within the next `steps` operations.
    pub(super) fn plan(&self, steps: u32, fault: Fault) {
        self.0.lock().fault = Some((steps, fault));
    }

    /// Nothing more goes wrong.
    pub(super) fn calm(&self) {
        self.0.lock().fault = None;
    }

    /// Whether the machine has to be rebooted before anything else can be tried.
    pub(super) fn is_down(&self) -> bool {
        let disk = self.0.lock();
        disk.crashed || disk.failed
    }

    /// The machine stops and starts: unsynced writes survive wholly, partly, damaged or not.
    pub(super) fn reboot(&self) {
        let mut disk = self.0.lock();
        let Disk { rng, files, removed, .. } = &mut *disk;
        for (name, file) in std::mem::take(removed) {
            if rng.random_bool(0.5) {
                files.insert(name, file);
            }
        }
        files.retain(|_, file| {
            file.survive(rng);
            file.name_is_safe || rng.random_bool(0.5)
        });
        files.values_mut().for_each(|file| file.name_is_safe = true);
        disk.crashed = false;
        disk.failed = false;
        disk.fault = None;
        disk.locked = false;
        disk.boots += 1;
    }

    /// Flips a bit somewhere in a file, which had better be noticed.
    pub(super) fn damage(&self, name: &str, offset: usize) {
        let mut disk = self.0.lock();
        let file = disk.files.get_mut(name).unwrap();
        file.safe[offset] ^= 0x10;
    }

    pub(super) fn cut(&self, name: &str, len: usize) {
        self.0.lock().files.get_mut(name).unwrap().safe.truncate(len);
    }

    /// The machine stops and starts; of the file's unsynced writes only this one is lost, and
    /// reads as zeroes.
    pub(super) fn reboot_without(&self, name: &str, write: usize) {
        {
            let mut disk = self.0.lock();
            let file = disk.files.get_mut(name).unwrap();
            file.pending[write].fill(0);
            let pending = std::mem::take(&mut file.pending);
            file.safe.extend(pending.concat());
        }
        self.reboot();
    }

    /// The files and their sizes: safe and pending.
    pub(super) fn describe(&self) -> String {
        let disk = self.0.lock();
        let sizes = disk.files.iter();
        let lines = sizes
            .map(|(name, f)| format!("{name} {} + {}", f.safe.len(), f.pending.concat().len()));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// How often the machine was started again.
    pub(super) fn boots(&self) -> u64 {
        self.0.lock().boots
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().files.keys().cloned().collect()
    }

    pub(super) fn len(&self, name: &str) -> usize {
        self.0.lock().files[name].safe.len()
    }
}

impl Disk {
    /// One operation; the fault that hits it.
    fn step(&mut self, writes: bool, syncs: bool) -> io::Result<Option<Fault>> {
        if self.crashed {
            return Err(io::Error::other("the machine is down"));
        }
        let Some((steps, fault)) = self.fault else { return Ok(None) };
        let hits = match fault {
            Fault::Crash => true,
            Fault::Full => writes,
            Fault::Sync => syncs,
        };
        if steps > 0 || !hits {
            self.fault = Some((steps.saturating_sub(1), fault));
            return Ok(None);
        }
        self.fault = None;
        self.crashed = fault == Fault::Crash;
        Ok(Some(fault))
    }

    fn plain_step(&mut self) -> io::Result<()> {
        match self.step(false, false)? {
            Some(_) => Err(io::Error::other("the machine went down")),
            None => Ok(()),
        }
    }

    fn file(&mut self, name: &str) -> io::Result<&mut SimFile> {
        self.files.get_mut(name).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl SimFile {
    fn survive(&mut self, rng: &mut StdRng) {
        if let Some(uncut) = self.uncut.take()
            && rng.random_bool(0.5)
        {
            self.safe = uncut;
            self.pending.clear();
            return;
        }
        if self.pending.is_empty() {
            return;
        }
        let writes = std::mem::take(&mut self.pending);
        let mut pending = writes.concat();
        let cut = rng.random_range(0..=pending.len());
        match rng.random_range(0..7) {
            0 => pending.clear(),
            1 => {}
            2 => pending.truncate(cut),
            3 => {
                pending.truncate(cut);
                let garbage = rng.random_range(0..200);
                pending.extend((0..garbage).map(|_| rng.random::<u8>()));
            }
            // The later part reached the disk and the earlier didn't.
            4 => pending[..cut].fill(0),
            5 => pending = some_of(writes, rng),
            // Pieces as the disk keeps them, wherever writes begin: each is there or not.
            _ => {
                let piece = rng.random_range(1..=300);
                for piece in pending.chunks_mut(piece) {
                    match rng.random_range(0..8) {
                        0..=4 => {}
                        5..=6 => piece.fill(0),
                        _ => rng.fill(piece),
                    }
                }
            }
        }
        self.safe.extend(pending);
    }
}

/// Any of the writes, whole or torn at either end; the file ends with the last one that is there,
/// or with room for those that aren't.
fn some_of(writes: Vec<Vec<u8>>, rng: &mut StdRng) -> Vec<u8> {
    let (mut bytes, mut end) = (Vec::new(), 0);
    for mut write in writes {
        let cut = rng.random_range(0..=write.len());
        let there = rng.random_bool(0.6);
        match rng.random_range(0..6) {
            _ if !there => write.fill(0),
            0 => write[cut..].fill(0),
            1 => write[..cut].fill(0),
            _ => {}
        }
        bytes.extend(write);
        end = if there { bytes.len() } else { end };
    }
    if rng.random_bool(0.7) {
        bytes.truncate(end);
    }
    bytes
}

impl Storage for SimDisk {
    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut disk = self.0.lock();
        disk.plain_step()?;
        if std::mem::replace(&mut disk.locked, true) {
            return Ok(None);
        }
        Ok(Some(Box::new(Lock(self.clone()))))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut disk = self.0.lock();
        disk.plain_step()?;
        Ok(disk.files.keys().cloned().chain(["ledger.lock".to_owned()]).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut disk = self.0.lock();
        disk.plain_step()?;
        let file = disk.file(name)?;
        Ok([&file.safe[..], &file.pending.concat()].concat())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        let mut disk = self.0.lock();
        let fault = disk.step(true, false)?;
        if disk.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if fault != Some(Fault::Full) {
            disk.files.insert(name.to_owned(), SimFile::default());
        }
        disk.failed |= fault.is_some();
        match fault {
            Some(_) => Err(io::Error::other("could not make the file")),
            None => Ok(Box::new(self.open(name, disk.boots))),
        }
    }

    fn append_to(&self, name: &str, len: u64) -> io::Result<Box<dyn SegmentFile>> {
        let mut disk = self.0.lock();
        disk.plain_step()?;
        let boots = disk.boots;
        let file = disk.file(name)?;
        let len = usize::try_from(len).unwrap();
        if let Some(kept) = len.checked_sub(file.safe.len()) {
            let mut pending = file.pending.concat();
            pending.truncate(kept);
            file.pending = vec![pending];
        } else {
            file.uncut = Some(file.safe.clone());
            file.safe.truncate(len);
            file.pending.clear();
        }
        Ok(Box::new(self.open(name, boots)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.plain_step()?;
        if let Some(file) = disk.files.remove(name) {
            disk.removed.insert(name.to_owned(), file);
        }
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.0.lock();
        assert!(!disk.failed, "a failed write or sync was followed by another");
        if disk.step(false, true)?.is_some() {
            disk.failed = true;
            return Err(io::Error::other("could not sync the folder"));
        }
        disk.removed.clear();
        disk.files.values_mut().for_each(|file| file.name_is_safe = true);
        Ok(())
    }
}

impl SimDisk {
    fn open(&self, name: &str, boot: u64) -> Open {
        Open { disk: self.clone(), name: name.to_owned(), boot }
    }
}

impl SegmentFile for Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.0.lock();
        assert_eq!(self.boot, disk.boots, "a file from before the crash was written to");
        assert!(!disk.failed, "a failed write or sync was followed by another");
        let fault = disk.step(true, false)?;
        let cut = disk.rng.random_range(0..=bytes.len());
        let taken = if fault.is_some() { &bytes[..cut] } else { bytes };
        disk.file(&self.name)?.pending.push(taken.to_vec());
        if fault.is_none() {
            return Ok(());
        }
        disk.failed = true;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk.0.lock();
        assert_eq!(self.boot, disk.boots, "a file from before the crash was synced");
        assert!(!disk.failed, "a failed write or sync was followed by another");
        if disk.step(false, true)?.is_some() {
            disk.failed = true;
            return Err(io::Error::other("could not sync"));
        }
        let file = disk.file(&self.name)?;
        let pending = std::mem::take(&mut file.pending);
        file.safe.extend(pending.concat());
        file.uncut = None;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.0.lock().locked = false;
    }
}
