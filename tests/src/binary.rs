//! Where the programs and files under test are. Finds, never builds.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map_or_else(|| tests.to_path_buf(), Path::to_path_buf)
}

/// The folder of the profile that this test was built with: `target/debug` or `target/release`.
pub fn target_folder() -> Result<PathBuf> {
    let test = std::env::current_exe().context("the test executable has no path")?;
    let folder = test.ancestors().find(|folder| folder.ends_with("deps")).and_then(Path::parent);
    let beside = test.parent().map(Path::to_path_buf);
    folder.map(Path::to_path_buf).or(beside).context("the test executable is in no folder")
}

/// The gateway's executable: `TURNPIKE_BIN`, or `turnpike` beside the test's own build.
pub fn gateway_binary() -> Result<PathBuf> {
    let path = match std::env::var_os("TURNPIKE_BIN") {
        Some(path) => PathBuf::from(path),
        None => target_folder()?.join("turnpike"),
    };
    if !path.is_file() {
        bail!(
            "there is no gateway at {}: run the tests with `make test`, which builds it first, or \
             set TURNPIKE_BIN",
            path.display()
        );
    }
    Ok(path)
}
