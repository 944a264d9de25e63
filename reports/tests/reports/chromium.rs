//! A headless Chromium, driven over the pipe of its DevTools protocol.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take that the browser is asked for; it is killed with the test otherwise.
const BUDGET: Duration = Duration::from_secs(90);

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// What the page complained about: exceptions and what its policy forbids.
    pub(crate) complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

/// The program, if this machine has one.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

impl Browser {
    /// Starts a browser; `None` if this machine has none, unless `PARTITA_REQUIRE` names chromium.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            let required = std::env::var("PARTITA_REQUIRE").unwrap_or_default();
            let required = required.split(',').any(|name| ["chromium", "all"].contains(&name));
            assert!(!required, "PARTITA_REQUIRE asks for chromium, which is not installed");
            eprintln!("skipped: there is no chromium to drive");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder");
        // Commands come on descriptor 3 and answers go to 4.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--remote-debugging-pipe", "--window-size=1400,1000"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let commands = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while answers.read_until(0, &mut bytes).is_ok_and(|length| length > 0) {
                bytes.pop();
                let Ok(message) = serde_json::from_slice(&bytes) else { return };
                if sender.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser = Self {
            child,
            commands,
            messages,
            session: None,
            last: 0,
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.ask("Target.attachToTarget", &target);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        write!(self.commands, "{command}\0").expect("the browser listens");
        loop {
            let message = self.messages.recv_timeout(BUDGET).expect("an answer of the browser");
            if message["id"] == json!(self.last) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.overhear(&message);
        }
    }

    fn overhear(&mut self, message: &Value) {
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(message.to_string()),
            Some("Log.entryAdded") if message["params"]["entry"]["level"] == "error" => {
                self.complaints.push(message.to_string());
            }
            _ => {}
        }
    }

    /// Goes to an address and waits until `ready` holds there.
    pub(crate) fn go(&mut self, address: &str, ready: &str) {
        // A change of the fragment alone would load nothing.
        self.ask("Page.navigate", &json!({"url": "about:blank"}));
        self.ask("Page.navigate", &json!({ "url": address }));
        self.wait_for(ready);
    }

    /// Waits until an expression is true.
    pub(crate) fn wait_for(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.evaluate(&format!("Boolean({expression})")) != json!(true) {
            let complaints = &self.complaints;
            assert!(begun.elapsed() < BUDGET, "never: {expression}; the page: {complaints:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
        });
        let answer = self.ask("Runtime.evaluate", &asked);
        let exception = &answer["exceptionDetails"];
        assert!(exception.is_null(), "{expression}: {exception}");
        answer["result"]["value"].clone()
    }

    /// Presses and releases a key where the focus is.
    pub(crate) fn press(&mut self, key: &str, shift: bool) {
        for kind in ["keyDown", "keyUp"] {
            let modifiers = if shift { 8 } else { 0 };
            let mut event = json!({"type": kind, "key": key, "modifiers": modifiers});
            if key == "Enter" {
                (event["text"], event["windowsVirtualKeyCode"]) = (json!("\r"), json!(13));
            }
            self.ask("Input.dispatchKeyEvent", &event);
        }
    }

    /// Has axe-core look at the page, in both colour schemes, wide and narrow: it finds no serious fault.
    /// `PARTITA_AXE` is the path of its `axe.min.js` (<https://www.npmjs.com/package/axe-core>), which is no
    /// part of this repository; without it, nothing is looked at, unless `PARTITA_REQUIRE` names axe.
    pub(crate) fn assert_accessible(&mut self, what: &str) {
        let Ok(axe) = std::env::var("PARTITA_AXE") else {
            let required = std::env::var("PARTITA_REQUIRE").unwrap_or_default();
            let required = required.split(',').any(|name| ["axe", "all"].contains(&name));
            assert!(!required, "PARTITA_REQUIRE asks for axe, and PARTITA_AXE is not set");
            eprintln!("skipped: PARTITA_AXE does not say where axe-core is");
            return;
        };
        let axe = std::fs::read_to_string(&axe).expect("axe.min.js");
        // Not by an element of the page, whose policy allows its own script only.
        self.evaluate(&format!("{axe}; 1"));
        for (scheme, width) in [("light", 1400), ("dark", 1400), ("light", 400), ("dark", 400)] {
            let feature = json!({"name": "prefers-color-scheme", "value": scheme});
            self.ask("Emulation.setEmulatedMedia", &json!({"features": [feature]}));
            let size =
                json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
            self.ask("Emulation.setDeviceMetricsOverride", &size);
            let found = self.evaluate(
                "axe.run().then(({ violations, passes }) => [passes.length, violations \
                 .filter(it => ['serious', 'critical'].includes(it.impact)) \
                 .map(it => `${it.id}: ${it.help}: ${it.nodes.slice(0, 3).map(n => n.html.slice(0, 200))}`) \
                 .join('\\n')])",
            );
            assert!(found[0].as_u64().expect("a number") > 10, "{what}: nothing was looked at");
            assert_eq!(found[1], json!(""), "{what}, {scheme}, {width} wide");
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
