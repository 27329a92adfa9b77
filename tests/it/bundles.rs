//! Bundles: acceptance 32, and what can be wrong with a file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use tidings::{
    Namespace, Node,
    node::{BundleError, Frontier, ImportError, Imported, Space},
};
use tokio::task::JoinSet;

use crate::support::{contents, link, mesh_name, metric, node, node_on_disk, text, until, until_equal};

fn space(node: &Node) -> Space {
    node.space(&Namespace::default()).unwrap()
}

async fn export(node: &Node, since: &Frontier) -> Vec<u8> {
    let mut bundle = space(node).export(since).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = bundle.next().await {
        bytes.extend_from_slice(&part.unwrap());
    }
    bytes
}

async fn import(node: &Node, bundle: &[u8]) -> Result<Imported, ImportError> {
    let parts: Vec<_> =
        bundle.chunks(10_000).map(|part| Ok::<_, String>(Bytes::copy_from_slice(part))).collect();
    space(node).import(futures::stream::iter(parts)).await
}

async fn node_with(mesh: &str, name: &str) -> Node {
    node(mesh, name).history(3).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_while_writes_go_on_is_imported_into_a_new_mesh() {
    let ant = node_with(&mesh_name(), "ant").await;
    for n in 0..500 {
        ant.put(format!("k/{}", n % 300), format!("{n}")).await.unwrap();
    }
    ant.delete("k/0").await.unwrap();
    ant.put("large", vec![7; 700_000]).await.unwrap();
    let before = contents(&ant).await;
    let enough = Arc::new(AtomicBool::new(false));
    let mut writes = JoinSet::new();
    let (writer, stop) = (ant.clone(), enough.clone());
    writes.spawn(async move {
        for n in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            writer.put(format!("live/{}", n % 50), format!("{n}")).await.unwrap();
        }
    });
    let bundle = export(&ant, &Frontier::default()).await;
    enough.store(true, Ordering::SeqCst);
    while writes.join_next().await.is_some() {}

    let bat = node_with(&mesh_name(), "bat").await;
    let imported = import(&bat, &bundle).await.unwrap();
    assert!(
        imported.complete && imported.fresh == imported.versions && imported.versions > 500,
        "{imported:?}"
    );
    let there = contents(&bat).await;
    for (key, value) in &before {
        assert_eq!(there.get(key), Some(value), "{key}");
    }
    assert_eq!(text(&bat, "k/0").await, None);
    assert_eq!(space(&bat).history("k/1").await.unwrap(), space(&ant).history("k/1").await.unwrap());

    // Again: nothing happens.
    let root = bat.digest().await.unwrap().root;
    let again = import(&bat, &bundle).await.unwrap();
    assert_eq!((again.fresh, again.complete), (0, true));
    assert_eq!(bat.digest().await.unwrap().root, root);

    // What came later, from there on; then both hold the same.
    let since = bat.digest().await.unwrap().frontier;
    let more = export(&ant, &since).await;
    assert!(more.len() < bundle.len(), "{} {}", more.len(), bundle.len());
    assert!(import(&bat, &more).await.unwrap().complete);
    until_equal(&[ant.clone(), bat.clone()]).await;
    // A node of the new mesh is filled from it.
    let cat = node(&bat_mesh(&bat).await, "cat").start().await.unwrap();
    link(&cat, &bat).await;
    until_equal(&[bat, cat]).await;
}

async fn bat_mesh(node: &Node) -> String {
    node.status().await.mesh
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_altered_or_newer_is_refused_where_it_breaks_and_the_rest_is_imported_later() {
    let (ant, bat) = (node_with(&mesh_name(), "ant").await, node_with(&mesh_name(), "bat").await);
    for n in 0..3_000 {
        ant.put(format!("k/{n}"), "x".repeat(60)).await.unwrap();
    }
    let bundle = export(&ant, &Frontier::default()).await;
    let nothing = bat.digest().await.unwrap();
    let mut newer = bundle.clone();
    newer[15] = 2;
    let error = import(&bat, &newer).await.unwrap_err();
    assert!(matches!(error, ImportError::Bundle { error: BundleError::Newer(2), stored: 0 }), "{error}");
    for what in [&b"PNG"[..], b"", &bundle[16..]] {
        let error = import(&bat, what).await.unwrap_err();
        let none = matches!(error, ImportError::Bundle { stored: 0, .. });
        assert!(none, "{error}");
    }
    assert_eq!(bat.digest().await.unwrap().root, nothing.root);
    assert_eq!(bat.digest().await.unwrap().frontier, nothing.frontier);

    let mut altered = bundle.clone();
    let middle = bundle.len() / 2;
    altered[middle] ^= 1;
    for bad in [&altered[..], &bundle[..middle]] {
        let Err(ImportError::Bundle { error, stored }) = import(&bat, bad).await else { panic!("taken in") };
        let at = match error {
            BundleError::Altered { at } | BundleError::Cut { at } => usize::try_from(at).unwrap(),
            other => panic!("{other}"),
        };
        assert!(at <= middle && middle - at < 200_000 && stored > 0, "{at} {middle} {stored}");
        let there = bat.digest().await.unwrap();
        assert_eq!(there.keys, stored, "what is verified, and nothing else");
    }
    let imported = import(&bat, &bundle).await.unwrap();
    assert!(imported.complete && imported.fresh < imported.versions, "{imported:?}");
    until_equal(&[ant, bat]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_whose_beginning_is_missing_here_is_taken_in_and_vouches_for_nothing() {
    let (ant, bat) = (node_with(&mesh_name(), "ant").await, node_with(&mesh_name(), "bat").await);
    ant.put("first", "1").await.unwrap();
    let since = ant.digest().await.unwrap().frontier;
    let first = export(&ant, &Frontier::default()).await;
    for value in ["1", "2", "3", "4", "5", "6"] {
        ant.put("second", value).await.unwrap();
    }
    let second = export(&ant, &since).await;
    let imported = import(&bat, &second).await.unwrap();
    assert!(!imported.complete, "{imported:?}");
    assert!(imported.incomplete_because.unwrap().contains("the one before it"));
    assert_eq!(text(&bat, "second").await.as_deref(), Some("6"));
    import(&bat, &first).await.unwrap();
    assert!(import(&bat, &second).await.unwrap().complete);
    until_equal(&[ant, bat]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_deletes_were_forgotten_a_bundle_brings_nothing_back_and_hides_nothing() {
    let (mesh, retention) = (mesh_name(), Duration::from_millis(100));
    let ant = node(&mesh, "ant").delete_retention(retention).start().await.unwrap();
    let bat = node_with(&mesh, "bat").await;
    link(&ant, &bat).await;
    ant.put("gone", "soon").await.unwrap();
    ant.put("stays", "here").await.unwrap();
    until_equal(&[ant.clone(), bat.clone()]).await;
    crate::support::cut(&ant, &bat).await;
    ant.delete("gone").await.unwrap();
    until("the delete is forgotten", || async {
        (metric(&ant, "tidings_forgotten_total") > 0).then_some(())
    })
    .await;
    let bundle = export(&ant, &Frontier::default()).await;
    let imported = import(&bat, &bundle).await.unwrap();
    assert!(!imported.complete && imported.incomplete_because.unwrap().contains("forgotten"));
    // A comparison settles it.
    crate::support::mend(&ant, &bat).await;
    until_equal(&[ant, bat.clone()]).await;
    assert_eq!(text(&bat, "gone").await, None);
    // Who holds nothing has nothing to be deleted.
    let cat = node_with(&mesh_name(), "cat").await;
    assert!(import(&cat, &bundle).await.unwrap().complete);
    assert_eq!(cat.digest().await.unwrap().root, bat.digest().await.unwrap().root);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_everything_is_filled_from_its_backup_and_reuses_no_name() {
    let (mesh, directory) = (mesh_name(), tempfile::tempdir().unwrap());
    let durable = |path: &str| node_on_disk(&mesh, "ant", &directory.path().join(path));
    let ant = durable("one").start().await.unwrap();
    let bat = node_with(&mesh, "bat").await;
    let first = ant.put("k", "before").await.unwrap();
    let bundle = export(&ant, &Frontier::default()).await;
    ant.put("k", "after").await.unwrap();
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    ant.close().await;
    // The identity was saved, the store was not.
    std::fs::create_dir(directory.path().join("two")).unwrap();
    let identity = |of: &str| directory.path().join(of).join("identity");
    std::fs::copy(identity("one"), identity("two")).unwrap();
    let ant = durable("two").start().await.unwrap();
    import(&ant, &bundle).await.unwrap();
    assert_eq!(text(&ant, "k").await.as_deref(), Some("before"));
    let next = ant.put("other", "new").await.unwrap();
    assert_ne!(next.dot.origin, first.dot.origin, "a life of its own");
    link(&ant, &bat).await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(text(&ant, "k").await.as_deref(), Some("after"), "nothing of others is lost");
}

#[cfg(feature = "cli")]
#[test]
fn files_are_written_verified_and_taken_in_on_the_command_line() {
    use crate::cli::{Running, home, run};
    let home = home();
    let at = home.path();
    let ant = Running::start(at, "ant", &["--open"]);
    let bat = Running::start(at, "bat", &["--open"]);
    let ask = |node: &Running, arguments: &[&str], status| run(&mut node.ask(at, arguments), status);
    ask(&ant, &["put", "k", "one"], 0);
    ask(&ant, &["put", "k", "two"], 0);
    let (frontier, said) = ask(&ant, &["export", "all.tidings"], 0);
    assert!(said.contains("2 versions"), "{said}");
    assert!(!at.join("all.tidings.part").exists());
    assert_eq!(ask(&bat, &["import", "all.tidings"], 0).0, "2 versions, 2 of them new\n");
    assert_eq!(ask(&bat, &["get", "k"], 0).0, "two");
    assert_eq!(ask(&bat, &["import", "all.tidings"], 0).0, "2 versions, 0 of them new\n");
    ask(&ant, &["put", "k", "three"], 0);
    let json = ask(&ant, &["export", "more.tidings", "--since", frontier.trim(), "--json"], 0).0;
    let exported: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(exported["versions"], 1, "{exported}");
    // Nothing of a bad file is sent.
    let mut bytes = std::fs::read(at.join("more.tidings")).expect("was written");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(at.join("bad.tidings"), &bytes).expect("writes");
    std::fs::write(at.join("cut.tidings"), &bytes[..last]).expect("writes");
    for (file, why) in [("bad.tidings", "altered"), ("cut.tidings", "cut"), ("missing", "No such file")] {
        let said = ask(&bat, &["import", file], 1).1;
        assert!(said.contains(why), "{file}: {said}");
    }
    assert_eq!(ask(&bat, &["get", "k"], 0).0, "two");
    ask(&bat, &["import", "more.tidings"], 0);
    assert_eq!(ask(&bat, &["get", "k"], 0).0, "three");
    let said = ask(&ant, &["export", "x.tidings", "--since", "what"], 1).1;
    assert!(said.contains("since") && !at.join("x.tidings.part").exists(), "{said}");
    for verb in ["export", "import"] {
        assert!(ask(&ant, &[verb, "-"], 2).1.contains("takes a file"));
    }
    assert!(!at.join("-").exists());
}

/// A server that begins to send `bundle`, and says no more until it is dropped.
fn begins_to_send(bundle: Vec<u8>) -> (String, std::sync::mpsc::Sender<()>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("is bound"));
    let (held, dropped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("reads");
            head.extend(byte);
        }
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n", bundle.len());
        stream.write_all(&[head.as_bytes(), &bundle, b"\r\n"].concat()).expect("writes");
        let _ = dropped.recv();
    });
    (url, held)
}

#[test]
fn an_export_that_is_broken_off_leaves_nothing_behind_and_two_do_not_write_one_file() {
    use std::{fs, os::unix::fs::PermissionsExt, process::Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use crate::cli::{Running, home, run, tidings};
    let home = home();
    let at = home.path();
    let ant = Running::start(at, "ant", &["--open"]);
    run(&mut ant.ask(at, &["put", "k", "one"]), 0);
    run(&mut ant.ask(at, &["export", "all.tidings"]), 0);
    let begins = fs::read(at.join("all.tidings")).expect("was written")[..16].to_vec();
    let part = at.join("broken.tidings.part");
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        // A part that one that was killed has left does not say who may read the bundle.
        fs::write(&part, b"what was left").expect("writes");
        fs::set_permissions(&part, PermissionsExt::from_mode(0o666)).expect("is ours");
        let (url, _held) = begins_to_send(begins.clone());
        let mut command = tidings(at);
        command.env("TIDINGS_URL", &url).args(["export", "broken.tidings"]);
        let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let begun = || (fs::read(&part).expect("is there") == begins).then_some(());
        crate::program::until("it has begun", begun);
        let mode = fs::metadata(&part).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let said = run(&mut ant.ask(at, &["export", "broken.tidings"]), 1).1;
        assert!(said.contains("another export is writing it"), "{said}");
        kill_process(Pid::from_child(&running), signal).expect("is alive");
        let ended = running.wait_with_output().expect("is a child");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(status) && said.contains("nothing was exported"), "{ended:?}");
        assert!(!part.exists() && !at.join("broken.tidings").exists());
    }
}

#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_over_http() {
    use tidings::Limits;
    crate::http::with_nodes(Limits::default(), async |[ant, bat]: [crate::http::Api; 2]| {
        ant.put("/v1/kv/k", b"hello").await.expect(200);
        let bundle = export(&ant.node, &Frontier::default()).await;
        let kind = [("Content-Type", "application/vnd.tidings.bundle")];
        let imported = bat.ask("POST", "/v1/import", &kind, &bundle).await.expect(200).json();
        assert_eq!((&imported["versions"], &imported["complete"]), (&1.into(), &true.into()), "{imported}");
        bat.get("/v1/kv/k").await.expect(200);
        bat.ask("POST", "/v1/import", &[], &bundle).await.refused(415, "bad_content_type");
        let cut = bat.ask("POST", "/v1/import", &kind, &bundle[..bundle.len() - 1]).await;
        let problem = cut.refused(400, "bad_bundle").json();
        assert_eq!(problem["stored"], 1, "{problem}");
        bat.ask("POST", "/v1/import", &kind, b"what").await.refused(400, "bad_bundle");
        ant.get("/v1/export?since=what").await.refused(400, "bad_parameter");
        ant.get("/v1/export?ns=nope").await.refused(404, "no_such_namespace");
        let whole = ant.get("/v1/export").await.expect(200);
        assert_eq!(whole.headers["content-type"], "application/vnd.tidings.bundle");
    })
    .await;
}
