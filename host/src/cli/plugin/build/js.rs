//! JavaScript: QuickJS and the policy's modules, started and frozen into one component by the npm
//! package `componentize-qjs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::super::project::Project;
use super::super::{read, sdk};
use super::tools;

/// The package, in the version that the gateway was tried with.
const PACKAGE: &str = "componentize-qjs@0.4.5";
const PROGRAM: &str = "node_modules/componentize-qjs/cli.mjs";
const HINT: &str = "JavaScript policies need Node.js 20 or newer and the npm package \
     componentize-qjs: run `turnpike plugin build --install`, or in the project \
     `npm install --save-dev --save-exact componentize-qjs@0.4.5`";

pub(super) fn build(project: &Project, install: bool) -> anyhow::Result<Vec<u8>> {
    let node = tools::program("node").with_context(|| format!("node is not there; {HINT}"))?;
    let tool = tool(&project.folder, install)?;
    let work = project.work();
    let (entry, out) = (work.join("js/main.js"), work.join("js/out.wasm"));
    sdk::write_changed(&entry, &main_module(project))?;
    let mut command = Command::new(node);
    command.arg(tool).arg("--wit").arg(work.join("wit")).args(["--world", "guest"]);
    // Without asynchronous calls and without WASI: a policy is given neither.
    command.args(["--sync", "--stub-wasi"]).arg("--js").arg(entry);
    command.arg("--module-root").arg(&project.folder).arg("--output").arg(&out);
    tools::run(command.current_dir(&project.folder), "componentize-qjs")?;
    read(&out)
}

/// The project's own copy goes first.
fn tool(folder: &Path, install: bool) -> anyhow::Result<PathBuf> {
    let own = folder.join(PROGRAM);
    if own.is_file() {
        return Ok(own);
    }
    let cache = tools::cache(PACKAGE)?;
    let command =
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".", PACKAGE];
    let command: Option<&[&str]> = install.then_some(&command);
    tools::installed(&cache, Path::new(PROGRAM), command, HINT)
}

/// The component's entry: the SDK around what `policy.js` exports.
fn main_module(project: &Project) -> String {
    let manifest = &project.manifest;
    let mut out = String::from(
        "// Made by `turnpike plugin build`; change policy.js instead.\n\
         import * as policy from \"../../policy.js\";\n\
         import log from \"turnpike:policy/log@0.1.0\";\n\
         import request from \"turnpike:policy/request@0.1.0\";\n\
         import { host } from \"./turnpike.js\";\n",
    );
    let mut imports = vec!["log".to_owned(), "request".to_owned()];
    let mut import = |name: &str| {
        out.push_str(&format!("import {name} from \"turnpike:policy/{name}@0.1.0\";\n"));
        imports.push(name.to_owned());
    };
    if manifest.decisions.iter().any(|decision| decision == "route") {
        import("candidates");
    }
    manifest.imports.iter().for_each(|name| import(name));
    out.push_str(&format!("const made = host(policy, {{ {} }});\n", imports.join(", ")));
    out.push_str("export const plugin = made.plugin;\n");
    for decision in &manifest.decisions {
        out.push_str(&format!("export const {decision} = made.{decision};\n"));
    }
    if manifest.reasons {
        out.push_str("export const routeReasons = made.routeReasons;\n");
    }
    out
}
