//! That time is virtual for the whole of libp2p, and that simulations are of what is shipped.

#![expect(clippy::unwrap_used, reason = "a lock file that is not one fails the test")]

use std::{collections::BTreeSet, fs, path::Path};

/// What stands for the clocks of libp2p here.
const SHIMS: [&str; 2] = ["futures-timer", "web-time"];

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug, Clone)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
}

fn locked(path: &str) -> BTreeSet<Package> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    assert!(!text.contains("[[patch.unused]]"), "{path}: a patch is not used: cargo update -p …");
    let lock: toml::Table = text.parse().unwrap();
    let field = |package: &toml::Value, name| package.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    let packages = lock["package"].as_array().unwrap().iter();
    packages
        .map(|package| Package {
            name: field(package, "name").unwrap(),
            version: field(package, "version").unwrap(),
            source: field(package, "source"),
        })
        .collect()
}

#[test]
fn there_is_one_clock_and_it_is_ours() {
    let packages = locked("Cargo.lock");
    for shim in SHIMS {
        let found: Vec<_> = packages.iter().filter(|package| package.name == shim).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].source, None, "{shim} comes from elsewhere: nothing of libp2p would ever fire");
    }
}

#[test]
fn the_product_is_built_without_them() {
    let packages = locked("../Cargo.lock");
    assert!(packages.iter().all(|package| !SHIMS.contains(&&*package.name) || package.source.is_some()));
}

#[test]
fn what_both_are_made_of_has_the_same_versions() {
    let (product, sims) = (locked("../Cargo.lock"), locked("Cargo.lock"));
    let names: BTreeSet<&str> = product.iter().map(|package| &*package.name).collect();
    let differing: Vec<_> = sims
        .difference(&product)
        .filter(|package| names.contains(&*package.name) && !SHIMS.contains(&&*package.name))
        .collect();
    assert!(differing.is_empty(), "cargo update -p … --precise …: {differing:?}");
}
