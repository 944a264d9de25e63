//! Sells seats over TCP: the server under test.
//!
//!     lab-test ADDRESS SEATS [--oversell]
//!
//! A client sends a line `reserve`, and is answered `yes` or `no`. With `--oversell` it sells one seat
//! more than there are.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, seats, options @ ..] = &arguments[..] else {
        eprintln!("usage: lab-test ADDRESS SEATS [--oversell]");
        std::process::exit(2);
    };
    let extra = u32::from(options.iter().any(|option| option == "--oversell"));
    let seats: u32 = seats.parse().expect("a number of seats");
    let left = Arc::new(Mutex::new(seats + extra));
    let listener = TcpListener::bind(address)?;
    println!("selling {seats} seats on {address}");
    for client in listener.incoming() {
        let (client, left) = (client?, left.clone());
        // A client that goes away is no error of the server's.
        thread::spawn(move || drop(serve(client, &left)));
    }
    Ok(())
}

fn serve(client: TcpStream, left: &Mutex<u32>) -> std::io::Result<()> {
    let mut answers = client.try_clone()?;
    for line in BufReader::new(client).lines() {
        let answer = match &*line? {
            "reserve" if sell(left) => "yes",
            "reserve" => "no",
            _ => "what?",
        };
        writeln!(answers, "{answer}")?;
    }
    Ok(())
}

fn sell(left: &Mutex<u32>) -> bool {
    let mut left = left.lock().expect("nothing panics while it holds this");
    let is_one_left = *left > 0;
    *left = left.saturating_sub(1);
    is_one_left
}
