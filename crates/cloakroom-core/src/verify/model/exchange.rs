//! A model check of exchanges, where records are in another store than the log: two tabs exchange one session at two servers,
//! somebody ends it, and each of them can die between any two steps. The session store's writes and the log's transactions are the
//! steps; every order is walked.

use stateright::{Checker, Model, Property};

/// A part of the design that is taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    /// None: the design as it is.
    Nothing,
    /// The successor's record is made first, and then the old session is ended.
    RecordBeforeLine,
    /// The line is written though another one ends the old session.
    LineNotCompared,
    /// An end of the old session does not follow the line.
    EndStopsAtOld,
    /// A record that is found is believed, whatever the log says.
    LogNotAsked,
    /// A successor without a record has ended, whatever the log says.
    NothingCompleted,
}

/// What the log says of the old session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Line {
    Missing,
    Exchanged,
    Ended,
}

/// How far somebody's work has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Phase {
    Waiting,
    /// The old session was found alive.
    Judged,
    /// The line is written, and the successor's record is to be made.
    Lined,
    /// The record is made, and the old one is to be deleted.
    Recorded,
    /// The successor was handed out, or the end acknowledged.
    Answered,
    /// Refused, or dead.
    Over,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    line: Line,
    /// Whether the log holds an end of the successor.
    successor_ended: bool,
    /// The records of the old session and of its successor.
    records: [bool; 2],
    tabs: [Phase; 2],
    ender: Phase,
    /// A request with the successor's ticket has found no record, and that the log allows one.
    completing: bool,
    /// The store has lost the successor's record, which it may do once.
    lost: bool,
    /// Whether it is still within half a minute of the line.
    recent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// The next step of a tab's exchange.
    Tab(usize),
    /// The next step of the end.
    End,
    /// The server of one of them dies.
    DieTab(usize),
    DieEnder,
    /// The store loses the successor's record, as in a failover.
    Lose,
    /// A client that has the successor shows it, where its record is missing.
    Show,
    Complete,
    /// Half a minute passes, in which whoever has the successor has shown it.
    Later,
}

const OLD: usize = 0;
const NEW: usize = 1;

impl World {
    /// Whether a session is let in, by its record and the log.
    fn accepts(&self, session: usize, flaw: Flaw) -> bool {
        let ended = if session == OLD { self.line != Line::Missing } else { self.successor_ended };
        self.records[session] && (!ended || flaw == Flaw::LogNotAsked)
    }

    /// Whether a successor without a record gets one.
    fn completes(&self, flaw: Flaw) -> bool {
        let remembered = self.line == Line::Exchanged && self.recent && !self.successor_ended;
        remembered && !self.records[NEW] && flaw != Flaw::NothingCompleted
    }

    /// The transaction that writes the line.
    fn write_line(&mut self, flaw: Flaw) -> Phase {
        match self.line {
            Line::Missing => {}
            // Made before: a repeat gets it, while that is allowed, and makes what is missing.
            Line::Exchanged if self.recent && !self.successor_ended => return Phase::Lined,
            Line::Ended if flaw == Flaw::LineNotCompared => {}
            Line::Exchanged | Line::Ended => return Phase::Over,
        }
        self.line = Line::Exchanged;
        Phase::Lined
    }

    fn advance_tab(&mut self, tab: usize, flaw: Flaw) {
        self.tabs[tab] = match (self.tabs[tab], flaw) {
            (Phase::Waiting, _) if self.accepts(OLD, flaw) || self.line == Line::Exchanged => Phase::Judged,
            (Phase::Judged, Flaw::RecordBeforeLine) => {
                self.records[NEW] = true;
                Phase::Lined
            }
            (Phase::Lined, Flaw::RecordBeforeLine) => {
                // What ended it in between looks like one's own.
                self.line = Line::Exchanged;
                Phase::Recorded
            }
            (Phase::Judged, _) => self.write_line(flaw),
            (Phase::Lined, _) => {
                self.records[NEW] = true;
                Phase::Recorded
            }
            (Phase::Recorded, _) => {
                self.records[OLD] = false;
                Phase::Answered
            }
            _ => Phase::Over,
        };
    }

    fn advance_end(&mut self, flaw: Flaw) {
        self.ender = match self.ender {
            Phase::Waiting => {
                if self.line == Line::Missing {
                    self.line = Line::Ended;
                } else if self.line == Line::Exchanged && flaw != Flaw::EndStopsAtOld {
                    self.successor_ended = true;
                }
                Phase::Lined
            }
            Phase::Lined => {
                self.records = [false, self.records[NEW] && !self.successor_ended];
                Phase::Answered
            }
            _ => Phase::Over,
        };
    }
}

const ENDED: &str = "what was ended lives on in no form";
const ONE: &str = "of the old session and its successor one lives at most";
const HANDED_OUT: &str = "what was handed out lives, unless somebody ends it";
const EXCHANGED: &str = "a session is exchanged";

impl Model for Flaw {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            line: Line::Missing,
            successor_ended: false,
            records: [true, false],
            tabs: [Phase::Waiting; 2],
            ender: Phase::Waiting,
            completing: false,
            lost: false,
            recent: true,
        }]
    }

    fn actions(&self, world: &World, out: &mut Vec<Step>) {
        let runs = |phase: Phase| !matches!(phase, Phase::Answered | Phase::Over);
        for tab in (0..2).filter(|tab| runs(world.tabs[*tab])) {
            out.extend([Step::Tab(tab), Step::DieTab(tab)]);
        }
        if runs(world.ender) {
            out.extend([Step::End, Step::DieEnder]);
        }
        if world.tabs.contains(&Phase::Answered) && world.completes(*self) && !world.completing {
            out.push(Step::Show);
        }
        if world.completing {
            out.push(Step::Complete);
        }
        if world.recent && world.records[NEW] && !world.lost {
            out.push(Step::Lose);
        }
        let works = world.completing || world.tabs.contains(&Phase::Lined) || world.completes(*self);
        if world.recent && world.line == Line::Exchanged && !works {
            out.push(Step::Later);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut world = world.clone();
        match step {
            Step::Tab(tab) => world.advance_tab(tab, *self),
            Step::End => world.advance_end(*self),
            Step::DieTab(tab) => world.tabs[tab] = Phase::Over,
            Step::DieEnder => world.ender = Phase::Over,
            Step::Lose => (world.records[NEW], world.lost) = (false, true),
            Step::Show => world.completing = true,
            Step::Complete => {
                world.completing = false;
                world.records[NEW] = true;
            }
            Step::Later => world.recent = false,
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ENDED, |flaw: &Self, world: &World| {
                world.ender != Phase::Answered || !world.accepts(OLD, *flaw) && !world.accepts(NEW, *flaw)
            }),
            Property::always(ONE, |flaw: &Self, world: &World| {
                !(world.accepts(OLD, *flaw) && world.accepts(NEW, *flaw))
            }),
            Property::always(HANDED_OUT, |flaw: &Self, world: &World| {
                !world.tabs.contains(&Phase::Answered)
                    || world.ender != Phase::Waiting
                    || world.accepts(NEW, *flaw)
                    || world.completes(*flaw)
                    || world.completing
            }),
            Property::sometimes(EXCHANGED, |flaw: &Self, world: &World| world.accepts(NEW, *flaw)),
        ]
    }
}

/// R16, R26.
#[test]
fn an_exchange_holds_beside_ends_and_crashes() {
    Flaw::Nothing.checker().spawn_bfs().join().assert_properties();
}

#[test]
fn the_model_of_exchanges_finds_each_flaw() {
    for (flaw, broken) in [
        (Flaw::RecordBeforeLine, ENDED),
        (Flaw::RecordBeforeLine, ONE),
        (Flaw::LineNotCompared, ENDED),
        (Flaw::EndStopsAtOld, ENDED),
        (Flaw::LogNotAsked, ENDED),
        (Flaw::NothingCompleted, HANDED_OUT),
    ] {
        let checker = flaw.checker().spawn_bfs().join();
        println!("{flaw:?}: {:?}", checker.assert_any_discovery(broken).into_actions());
    }
}
