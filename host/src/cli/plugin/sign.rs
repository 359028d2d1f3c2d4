//! `turnpike plugin keygen` and `sign`: a pair of keys, a component's signature, and the check of
//! one. The format is in `policy/signature.rs` and in `docs/policies`.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;

use super::super::say;
use super::{read, read_text, write};
use crate::policy::signature::{PublicKey, SecretKey, digest_hex, verify};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct KeygenArgs {
    /// Where the secret key goes; the public one goes beside it, with `.pub` at its end
    #[arg(long, default_value = "policy-signing.key")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SignArgs {
    /// The component
    file: PathBuf,
    /// The secret key that `keygen` made
    #[arg(long, required_unless_present = "verify")]
    key: Option<PathBuf>,
    /// Sign nothing: check the signature beside the component against this public key's file
    #[arg(long, value_name = "PUBLIC", conflicts_with = "key")]
    verify: Option<PathBuf>,
    /// The signature's file; the component's with `.sig` at its end if not given
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(super) fn keygen(args: &KeygenArgs) -> anyhow::Result<()> {
    let key = SecretKey::generate()?;
    let public = key.public()?;
    // Never over an old key: what it signed could not be signed again.
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.out)
        .with_context(|| format!("can't make {}; choose with --out", args.out.display()))?;
    file.write_all(format!("{}\n", *key.reveal()).as_bytes())?;
    let beside = with_ending(&args.out, "pub");
    write(&beside, format!("{public}\n").as_bytes())?;
    say(&format!(
        "secret key  {} (keep it; only you can read it)\npublic key  {public}\nits id      {}",
        args.out.display(),
        public.id()
    ))
}

pub(super) fn run(args: &SignArgs) -> anyhow::Result<()> {
    let bytes = read(&args.file)?;
    let beside = args.out.clone().unwrap_or_else(|| with_ending(&args.file, "sig"));
    if let Some(path) = &args.verify {
        let key = PublicKey::parse(&read_text(path)?)
            .with_context(|| format!("{} holds no public key", path.display()))?;
        let signature = read_text(&beside)?;
        verify(&bytes, &signature, std::slice::from_ref(&key))
            .with_context(|| format!("{} is not trusted", args.file.display()))?;
        return say(&format!("signed by {}: sha256 {}", key.id(), digest_hex(&bytes)));
    }
    let path = args.key.as_ref().context("give the secret key with --key")?;
    let key = SecretKey::parse(&read_text(path)?)
        .with_context(|| format!("{} holds no secret key", path.display()))?;
    let signature = key.sign(&bytes)?;
    write(&beside, format!("{signature}\n").as_bytes())?;
    say(&format!("{signature}\nwritten to {}", beside.display()))
}

/// `policy.wasm` and `sig` make `policy.wasm.sig`.
pub(super) fn with_ending(path: &std::path::Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
