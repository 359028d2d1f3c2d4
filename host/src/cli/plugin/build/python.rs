//! Python: CPython and the policy's modules, started and frozen into one component by
//! `componentize-py` from PyPI.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::project::Project;
use super::super::{read, sdk};
use super::tools;

/// The package, in the version that the gateway was tried with.
const PACKAGE: &str = "componentize-py==0.25.1";
const PROGRAM: &str = "bin/componentize-py";
const HINT: &str = "Python policies need the package componentize-py: run `turnpike plugin build \
     --install` (which needs python3 with venv; Debian: apt-get install python3-venv), or in the \
     project `python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1`";

pub(super) fn build(project: &Project, install: bool) -> anyhow::Result<Vec<u8>> {
    let tool = tool(&project.folder, install)?;
    let work = project.work();
    let out = work.join("python/out.wasm");
    sdk::write_changed(&work.join("python/turnpike_main.py"), &main_module(project))?;
    let mut command = Command::new(tool);
    command.arg("--wit-path").arg(work.join("wit")).args(["--world", "guest", "componentize"]);
    command.args(["turnpike_main", "--stub-wasi"]).arg("--output").arg(&out);
    // Nothing of the developer's own site-packages gets in by chance.
    command.arg("--python-path").arg(work.join("python"));
    command.arg("--python-path").arg(&project.folder);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("VIRTUAL_ENV");
    tools::run(command.current_dir(&project.folder), "componentize-py")?;
    read(&out)
}

fn tool(folder: &Path, install: bool) -> anyhow::Result<PathBuf> {
    let own = folder.join(".venv").join(PROGRAM);
    if own.is_file() {
        return Ok(own);
    }
    let cache = tools::cache(PACKAGE)?;
    let pip = format!(
        "python3 -m venv . && bin/python -m pip install --quiet --disable-pip-version-check \
         --no-deps {PACKAGE}"
    );
    let command = ["sh", "-c", &pip];
    let command: Option<&[&str]> = install.then_some(&command);
    tools::installed(&cache, Path::new(PROGRAM), command, HINT)
}

/// The component's entry: a class for each exported interface, around what `policy.py` defines.
fn main_module(project: &Project) -> String {
    let manifest = &project.manifest;
    let mut imports = vec!["log", "request"];
    if manifest.decisions.iter().any(|decision| decision == "route") {
        imports.push("candidates");
    }
    imports.extend(manifest.imports.iter().map(String::as_str));
    let given: Vec<String> = imports.iter().map(|name| format!("\"{name}\": {name}")).collect();
    let mut out = format!(
        "\"\"\"Made by `turnpike plugin build`; change policy.py instead.\"\"\"\n\
         from wit_world import exports\n\
         from wit_world.imports import types, {}\n\
         from wit_world.exports import plugin as plugin_types\n\
         from componentize_py_types import Err\n\
         import policy\n\
         from turnpike_glue import Glue\n",
        imports.join(", ")
    );
    for decision in &manifest.decisions {
        out.push_str(&format!("from wit_world.exports import {decision} as {decision}_types\n"));
    }
    out.push_str(&format!(
        "\nglue = Glue(policy, types, Err, {{{}}})\n\n\n\
         class Plugin(exports.Plugin):\n\
         \x20   def describe(self):\n\
         \x20       return plugin_types.Manifest(**glue.manifest())\n\n\
         \x20   def configure(self, config):\n\
         \x20       glue.configure(config)\n",
        given.join(", ")
    ));
    for decision in &manifest.decisions {
        let (class, method, parameters, types) = match decision.as_str() {
            "classify" => ("Classify", "classify", "", "types"),
            "route" => ("Route", "score", ", task, figures, objective", "None"),
            "redact" => ("Redact", "scan", ", place, text, last", "redact_types"),
            _ => ("Bill", "price", ", call", "bill_types"),
        };
        out.push_str(&format!(
            "\n\nclass {class}(exports.{class}):\n    def {method}(self{parameters}):\n        \
             return glue.{decision}({types}{parameters})\n"
        ));
    }
    if manifest.reasons {
        out.push_str(
            "\n\nclass RouteReasons(exports.RouteReasons):\n    def reason(self, index):\n        \
             return glue.reason(index)\n",
        );
    }
    out
}
