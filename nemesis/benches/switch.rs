//! Compares the switch with the kernel's own bridge, in one run on one machine.
//!
//! Two hosts joined by the lab's switch, then two joined by veth pairs and a bridge: the time of a
//! TCP round trip of 64 bytes, with the ends on processors of their own, as nodes are, and on one
//! together, which shows the cost of the detour; and the bytes per second of one long transfer. The
//! two networks take turns, so that whatever else the machine does befalls both. The bridge is
//! skipped, saying so, where `ip` or the kernel cannot make one. Run it with `cargo bench -p partita-nemesis --bench switch`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::{Command, exit};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, setns, unshare};
use nix::unistd::Pid;
use partita_nemesis::Lab;
use partita_nemesis::lab::Host;
use partita_nemesis::lab::namespaces::{Entered, enter};

/// How often the two take turns.
const ROUNDS: usize = 3;
const ROUND_TRIPS: usize = 8_000;
const WARM_UP: usize = 1_000;
/// What one transfer moves, in bytes.
const TRANSFER: usize = 384 << 20;
/// How many times the bridge's round trip the switch's may take.
const MOST_TIMES_THE_BRIDGE: f64 = 1.3;
/// What one link must carry, in bytes per second.
const LEAST_BYTES_PER_SECOND: f64 = 150e6;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() {
    match enter() {
        Ok(Entered::Inside(_)) => match compare() {
            Ok(within) => exit(i32::from(!within)),
            Err(error) => {
                eprintln!("{error}");
                exit(4)
            }
        },
        Ok(Entered::Finished(code)) => exit(i32::from(code)),
        Err(error) => {
            eprintln!("{error}");
            exit(4)
        }
    }
}

/// Measures both and prints what it found; whether the switch is within its limits.
fn compare() -> Result<bool, Failure> {
    let lab = Lab::build(&["n1", "n2"])?;
    let (one, two) = (Site::of(&lab.nodes()[0])?, Site::of(&lab.nodes()[1])?);
    let bridge = Bridge::make();
    let (mut by_switch, mut by_bridge) = (Measured::default(), Measured::default());
    for _ in 0..ROUNDS {
        by_switch.measure(&one, &two)?;
        if let Ok(bridge) = &bridge {
            by_bridge.measure(&bridge.one, &bridge.two)?;
        }
    }
    by_switch.print("switch");
    let ratio = match &bridge {
        Ok(_) => {
            by_bridge.print("bridge");
            let ratio = by_switch.round_trip().as_secs_f64() / by_bridge.round_trip().as_secs_f64();
            let one = median(&by_switch.together).as_secs_f64()
                / median(&by_bridge.together).as_secs_f64();
            println!(
                "round trip: {ratio:.2} times the bridge's on two processors (limit \
                 {MOST_TIMES_THE_BRIDGE}), {one:.2} times on one"
            );
            ratio
        }
        Err(reason) => {
            println!("bridge  skipped: {reason}");
            1.0
        }
    };
    if let Some(failure) = lab.network().failure() {
        return Err(failure.into());
    }
    Ok(ratio <= MOST_TIMES_THE_BRIDGE && by_switch.rate() >= LEAST_BYTES_PER_SECOND)
}

/// What was measured on one kind of network, all rounds together.
#[derive(Default)]
struct Measured {
    /// Both ends on processors of their own.
    apart: Vec<Duration>,
    /// Both ends on one processor.
    together: Vec<Duration>,
    bytes_per_second: Vec<f64>,
}

impl Measured {
    fn measure(&mut self, from: &Site, to: &Site) -> Result<(), Failure> {
        let (first, second) = processors()?;
        self.apart.extend(round_trips((from, first), (to, second))?);
        self.apart.sort();
        self.together.extend(round_trips((from, second), (to, second))?);
        self.together.sort();
        self.bytes_per_second.push(transfer(from, to)?);
        self.bytes_per_second.sort_by(f64::total_cmp);
        Ok(())
    }

    fn round_trip(&self) -> Duration {
        median(&self.apart)
    }

    fn rate(&self) -> f64 {
        self.bytes_per_second[self.bytes_per_second.len() / 2]
    }

    fn print(&self, name: &str) {
        let of = |times: &[Duration]| {
            format!("median {:?}, 99 % {:?}", median(times), times[times.len() * 99 / 100])
        };
        println!(
            "{name}: round trip on two processors: {}; on one: {}; one transfer: {:.0} MB/s",
            of(&self.apart),
            of(&self.together),
            self.rate() / 1e6,
        );
    }
}

/// The middle one of some times in order.
fn median(times: &[Duration]) -> Duration {
    times[times.len() / 2]
}

/// Two processors that this program may use; the same twice if there is only one.
fn processors() -> Result<(usize, usize), Failure> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut numbers = (0..CpuSet::count()).filter(|n| allowed.is_set(*n).unwrap_or(false));
    let first = numbers.next().ok_or("no processor to run on")?;
    Ok((first, numbers.next().unwrap_or(first)))
}

/// Keeps the calling thread on one processor.
fn stay_on(processor: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// A network namespace with an address in it.
struct Site {
    namespace: File,
    address: Ipv4Addr,
}

impl Site {
    fn of(host: &Host) -> Result<Site, Failure> {
        let namespace = host.enter(|| File::open("/proc/thread-self/ns/net"))??;
        Ok(Site { namespace, address: host.address() })
    }

    /// Runs `work` on a thread of its own inside.
    fn run<T: Send>(&self, work: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
        let inside = || {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET)?;
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join().expect("no panic inside"))
    }

    fn listen(&self) -> Result<TcpListener, Failure> {
        self.run(|| Ok(TcpListener::bind((self.address, 0))?))
    }

    fn connect(&self, to: SocketAddr) -> Result<TcpStream, Failure> {
        let limit = Duration::from_secs(5);
        let stream = self.run(|| Ok(TcpStream::connect_timeout(&to, limit)?))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The times of many round trips of 64 bytes over one connection, each end on its processor. Where
/// the scheduler would put them is luck that changes the result tenfold, on either network.
fn round_trips(from: (&Site, usize), to: (&Site, usize)) -> Result<Vec<Duration>, Failure> {
    let listener = to.0.listen()?;
    let address = listener.local_addr()?;
    let serve = || -> Result<(), Failure> {
        stay_on(to.1)?;
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut buffer = [0; 64];
        while stream.read_exact(&mut buffer).is_ok() {
            stream.write_all(&buffer)?;
        }
        Ok(())
    };
    let ask = || -> Result<Vec<Duration>, Failure> {
        stay_on(from.1)?;
        let mut stream = from.0.connect(address)?;
        let mut times = Vec::with_capacity(WARM_UP + ROUND_TRIPS);
        for _ in 0..WARM_UP + ROUND_TRIPS {
            let sent = Instant::now();
            let mut answer = [0; 64];
            stream.write_all(&[7; 64])?;
            stream.read_exact(&mut answer)?;
            times.push(sent.elapsed());
        }
        Ok(times.split_off(WARM_UP))
    };
    thread::scope(|scope| {
        let server = scope.spawn(serve);
        // Threads of their own, since this one goes on to other processors.
        let times = scope.spawn(ask).join().expect("no panic in the client")?;
        server.join().expect("no panic in the server")?;
        Ok(times)
    })
}

/// The bytes per second of one long transfer.
fn transfer(from: &Site, to: &Site) -> Result<f64, Failure> {
    let listener = to.listen()?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || -> Result<usize, Failure> {
        let (mut stream, _) = listener.accept()?;
        let (mut buffer, mut received) = (vec![0; 256 << 10], 0);
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(received),
                length => received += length,
            }
        }
    });
    let start = Instant::now();
    let mut stream = from.connect(address)?;
    let chunk = vec![7; 256 << 10];
    for _ in 0..TRANSFER / chunk.len() {
        stream.write_all(&chunk)?;
    }
    drop(stream);
    let received = server.join().expect("no panic in the server")?;
    Ok(received as f64 / start.elapsed().as_secs_f64())
}

/// Two hosts joined by veth pairs and the kernel's bridge.
struct Bridge {
    one: Site,
    two: Site,
}

impl Bridge {
    fn make() -> Result<Bridge, Failure> {
        ip(&["link", "add", "bench", "type", "bridge"])?;
        ip(&["link", "set", "bench", "up"])?;
        Ok(Bridge { one: Bridge::join(1)?, two: Bridge::join(2)? })
    }

    /// Makes a host and joins it to the bridge, with the kernel's usual settings.
    fn join(number: u8) -> Result<Site, Failure> {
        let make = || -> Result<File, Failure> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok(File::open("/proc/thread-self/ns/net")?)
        };
        let namespace = thread::scope(|scope| scope.spawn(make).join().expect("no panic inside"))?;
        let site = Site { namespace, address: Ipv4Addr::new(198, 18, 1, number) };
        let path = format!("/proc/{}/fd/{}", std::process::id(), site.namespace.as_raw_fd());
        let port = format!("bench-{number}");
        let peer = ["peer", "name", "eth0", "netns", &path];
        ip(&[&["link", "add", &port, "type", "veth"][..], &peer].concat())?;
        ip(&["link", "set", &port, "master", "bench", "up"])?;
        let address = format!("{}/24", site.address);
        site.run(|| {
            ip(&["address", "add", &address, "dev", "eth0"])?;
            ip(&["link", "set", "eth0", "up"])
        })?;
        Ok(site)
    }
}

/// Runs `ip` in the calling thread's network namespace.
fn ip(arguments: &[&str]) -> Result<(), Failure> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("ip {}: {said}", arguments.join(" ")).into())
}
