//! Which request comes next: a form, the items that go into it, and the order of these.

use std::{fs, io, path::Path, sync::Arc};

use crate::stats::{SplitMix, Zipf};

/// Many lines of text in one piece: credentials, or bodies.
pub struct Lines {
    text: Vec<u8>,
    ends: Vec<u32>,
}

impl Lines {
    /// The lines of a file.
    pub fn read(path: &Path) -> io::Result<Arc<Self>> {
        let mut lines = Self { text: Vec::new(), ends: Vec::new() };
        for line in fs::read(path)?.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            lines.push(line)?;
        }
        Ok(Arc::new(lines))
    }

    /// The same line, once.
    pub fn one(line: &str) -> Arc<Self> {
        Arc::new(Self { text: line.as_bytes().to_vec(), ends: vec![line.len() as u32] })
    }

    /// These lines.
    pub fn of(all: &[String]) -> io::Result<Arc<Self>> {
        let mut lines = Self { text: Vec::new(), ends: Vec::new() };
        for line in all {
            lines.push(line.as_bytes())?;
        }
        Ok(Arc::new(lines))
    }

    fn push(&mut self, line: &[u8]) -> io::Result<()> {
        self.text.extend_from_slice(line);
        let end = u32::try_from(self.text.len()).map_err(|_| io::Error::other("too many credentials"))?;
        self.ends.push(end);
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// One of them as text.
    pub fn text(&self, index: usize) -> String {
        String::from_utf8_lossy(self.get(index)).into_owned()
    }

    /// One of them.
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.text[start..self.ends[index] as usize]
    }
}

/// In which order the items are used.
pub enum Order {
    /// One after another, again and again, among the first so many.
    Cycle(usize),
    /// Each once; then there are no more requests.
    Once,
    /// By turns one of the first `hot`, and one of the others, which come round again as late as can be.
    Half {
        /// How many those of the first kind are.
        hot: usize,
    },
    /// Each as likely.
    Uniform,
    /// By Zipf's law, over a shuffled ranking.
    Zipf(Zipf, Vec<u32>),
}

impl Order {
    /// By Zipf's law with an exponent below 1, over a shuffled ranking of so many items.
    pub fn zipf(items: usize, exponent: f64) -> Self {
        let mut ranking: Vec<u32> = (0..items as u32).collect();
        SplitMix(11).shuffle(&mut ranking);
        Self::Zipf(Zipf::new(items, exponent), ranking)
    }
}

/// Which of several servers a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Any of them, each as likely: a balancer without memory.
    Any,
    /// Always the same one for an item: a balancer that keeps clients and servers together.
    OfItem,
}

enum Form {
    /// The item is a header line.
    Get,
    /// The item is a header line, and there is no body.
    PostEmpty,
    /// The item is a JSON body.
    Post,
}

/// Requests, one after another.
pub struct Requests {
    form: Form,
    path: &'static str,
    items: Arc<Lines>,
    order: Order,
    route: Route,
    next: usize,
    random: SplitMix,
    text: Vec<u8>,
    /// The server that the request in `text` is to go to, if it has not gone yet.
    ready: Option<usize>,
}

impl Requests {
    /// `GET`s that differ by one header line.
    pub fn get(path: &'static str, items: Arc<Lines>, order: Order) -> Self {
        let (random, text) = (SplitMix(5), Vec::with_capacity(1024));
        Self { form: Form::Get, path, items, order, route: Route::Any, next: 0, random, text, ready: None }
    }

    /// `POST`s that differ by their JSON body.
    pub fn post(path: &'static str, items: Arc<Lines>, order: Order) -> Self {
        Self { form: Form::Post, ..Self::get(path, items, order) }
    }

    /// `POST`s without a body that differ by one header line.
    pub fn post_empty(path: &'static str, items: Arc<Lines>, order: Order) -> Self {
        Self { form: Form::PostEmpty, ..Self::get(path, items, order) }
    }

    /// The same, with a way to choose among servers.
    #[must_use]
    pub fn routed(self, route: Route) -> Self {
        Self { route, ..self }
    }

    /// To which of so many servers the next request goes, if there is one.
    pub fn ready(&mut self, servers: usize) -> Option<usize> {
        if self.ready.is_none() {
            let index = self.index()?;
            self.ready = Some(match self.route {
                Route::Any => self.random.below(servers),
                Route::OfItem => index % servers,
            });
            self.write(index);
        }
        self.ready
    }

    /// Its bytes, once.
    pub fn take(&mut self) -> &[u8] {
        self.ready = None;
        &self.text
    }

    fn write(&mut self, index: usize) {
        let item = self.items.get(index);
        let method = match self.form {
            Form::Get => "GET",
            Form::Post | Form::PostEmpty => "POST",
        };
        let text = &mut self.text;
        text.clear();
        for part in [method, " ", self.path, " HTTP/1.1\r\nhost: localhost:8080\r\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        if let Form::Post = self.form {
            text.extend_from_slice(b"content-type: application/json\r\ncontent-length: ");
            text.extend_from_slice(item.len().to_string().as_bytes());
            text.extend_from_slice(b"\r\n\r\n");
            text.extend_from_slice(item);
            return;
        }
        text.extend_from_slice(item);
        if let Form::PostEmpty = self.form {
            text.extend_from_slice(b"\r\ncontent-length: 0");
        }
        text.extend_from_slice(b"\r\n\r\n");
    }

    fn index(&mut self) -> Option<usize> {
        let (turn, items) = (self.next, self.items.count());
        self.next += 1;
        Some(match &self.order {
            Order::Cycle(first) => turn % items.min(*first),
            Order::Once => return (turn < items).then_some(turn),
            Order::Half { hot } if turn.is_multiple_of(2) => (turn / 2) % hot,
            Order::Half { hot } => hot + (turn / 2) % (items - hot),
            Order::Uniform => self.random.below(items),
            Order::Zipf(zipf, ranking) => ranking[zipf.rank(&mut self.random)] as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(items: &[&str]) -> Arc<Lines> {
        Lines::of(&items.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_get_has_the_item_among_its_headers() {
        let mut requests = Requests::get("/v1/verify", lines(&["cookie: a=b"]), Order::Cycle(1));
        let expected = b"GET /v1/verify HTTP/1.1\r\nhost: localhost:8080\r\ncookie: a=b\r\n\r\n";
        assert_eq!(requests.ready(1), Some(0));
        assert_eq!(requests.take(), &expected[..]);
    }

    #[test]
    fn a_post_has_the_item_as_its_body() {
        let mut requests = Requests::post("/v1/login", lines(&["{}"]), Order::Cycle(1));
        assert_eq!(requests.ready(1), Some(0));
        let text = String::from_utf8(requests.take().to_vec()).unwrap();
        assert!(text.starts_with("POST /v1/login HTTP/1.1\r\n") && text.ends_with("content-length: 2\r\n\r\n{}"));
    }

    #[test]
    fn a_post_without_a_body_says_so() {
        let mut requests = Requests::post_empty("/v1/logout", lines(&["cookie: a=b"]), Order::Once);
        let expected = b"POST /v1/logout HTTP/1.1\r\nhost: localhost:8080\r\ncookie: a=b\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(requests.ready(1), Some(0));
        assert_eq!(requests.take(), &expected[..]);
    }

    #[test]
    fn a_route_goes_anywhere_or_stays_with_its_item() {
        let servers = |route| {
            let mut requests = Requests::get("/", lines(&["a", "b", "c"]), Order::Cycle(3)).routed(route);
            let next = |_| {
                let server = requests.ready(3).unwrap();
                assert_eq!(requests.ready(3), Some(server), "it stays until it is taken");
                requests.take();
                server
            };
            (0..900).map(next).collect::<Vec<_>>()
        };
        assert!(servers(Route::OfItem).chunks(3).all(|three| three == [0, 1, 2]));
        let any = servers(Route::Any);
        for item in 0..3 {
            for server in 0..3 {
                let met = any.iter().skip(item).step_by(3).filter(|met| **met == server).count();
                assert!((60..140).contains(&met), "item {item} met server {server} {met} times of 300");
            }
        }
    }

    #[test]
    fn orders_go_over_the_items_as_they_say() {
        let items = lines(&["0", "1", "2", "3", "4"]);
        let indexes = |order, count: usize| {
            let mut requests = Requests::get("/", Arc::clone(&items), order);
            (0..count).map_while(|_| requests.index()).collect::<Vec<_>>()
        };
        assert_eq!(indexes(Order::Cycle(2), 5), [0, 1, 0, 1, 0]);
        assert_eq!(indexes(Order::Once, 9), [0, 1, 2, 3, 4]);
        assert_eq!(indexes(Order::Half { hot: 2 }, 8), [0, 2, 1, 3, 0, 4, 1, 2]);
        let mut uniform = indexes(Order::Uniform, 200);
        uniform.sort_unstable();
        uniform.dedup();
        assert_eq!(uniform, [0, 1, 2, 3, 4]);
        let mut zipf = indexes(Order::zipf(5, 0.99), 500);
        zipf.sort_unstable();
        zipf.dedup();
        assert_eq!(zipf, [0, 1, 2, 3, 4]);
    }
}
