use super::*;
use crate::types::face::{Face, Landmarks};
use crate::types::identity::{Features, Reason};
use crate::types::observation::Quality;

/// Ann and Bob, whose similarities are the logits: named from 0.8 on, kept from 0.5 on.
pub(super) struct ByLogits;

impl Judge for ByLogits {
    fn judge(&self, features: &Features) -> Identity {
        let mut top: Vec<Candidate> = ["ann", "bob"]
            .iter()
            .zip(&features.logits)
            .map(|(id, &similarity)| Candidate {
                label: label(id),
                similarity,
                confidence: similarity,
            })
            .collect();
        top.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        let name = if top[0].confidence >= 0.8 {
            Ok(top[0].label.clone())
        } else {
            Err(Reason::BelowThreshold)
        };
        let margin = top[0].similarity - top[1].similarity;
        Identity { name, top, margin }
    }

    fn keep_confidence(&self) -> f32 {
        0.5
    }
}

fn label(id: &str) -> Label {
    Label { name: id.to_uppercase(), id: id.to_owned(), url: String::new() }
}

/// A face this similar to Ann and to Bob; the third direction is nobody's.
pub(super) fn features(similarities: [f32; 2]) -> Features {
    let [ann, bob] = similarities;
    let rest = (1.0 - ann * ann - bob * bob).max(0.0).sqrt();
    Features { logits: similarities.to_vec(), embedding: vec![ann, bob, rest] }
}

/// A person by id, or a stranger where the id is "?".
pub(super) fn sighting(id: &str) -> Sighting {
    Sighting {
        name: if id == "?" { Err(Reason::BelowThreshold) } else { Ok(label(id)) },
        confidence: 0.9,
        margin: 0.3,
        top: Vec::new(),
        bounds: BoundingBox { x: 0.0, y: 0.0, width: 1.0, height: 1.0 },
        frame: 0,
    }
}

pub(super) fn texts(changes: &[Change]) -> Vec<String> {
    let id = |label: Option<&Label>| label.map_or_else(|| "?".to_owned(), |label| label.id.clone());
    let text = |change: &Change| match change {
        Change::Start(visit, sighting) => format!("+{} {visit}", id(sighting.label())),
        Change::Update(visit, before, sighting) => {
            format!("~{}>{} {visit}", id(before.as_ref()), id(sighting.label()))
        }
        Change::End(visit, sighting) => format!("-{} {visit}", id(sighting.label())),
    };
    changes.iter().map(text).collect()
}

/// A face 100 pixels wide at `x`; `None` where it is too poor to be looked at.
fn face(x: f32, similarities: Option<[f32; 2]>) -> Observation {
    let point = Point { x, y: 100.0 };
    let landmarks = Landmarks::at(point);
    let bounds = BoundingBox { x, y: 100.0, width: 100.0, height: 100.0 };
    let features = similarities.map(features);
    let identity = match &features {
        Some(features) => ByLogits.judge(features),
        None => Identity::refused(Reason::Blurred),
    };
    let face = Face { bounds, landmarks, turn: 0.0, detection_confidence: 0.9 };
    Observation { face, quality: Quality::GOOD, features, identity }
}

const ANN: Option<[f32; 2]> = Some([1.0, 0.0]);
const BOB: Option<[f32; 2]> = Some([0.0, 1.0]);
const STRANGER: Option<[f32; 2]> = Some([0.1, 0.1]);

const RULES: VisitRules =
    VisitRules { confirm_frames: 2, absence: Duration::from_secs(2), with_strangers: false };

/// Frames 100 ms apart.
struct Film {
    tracker: Tracker,
    now: Instant,
    frame: u64,
    changes: Vec<String>,
}

impl Film {
    fn new() -> Self {
        Self::with(RULES)
    }

    fn with(rules: VisitRules) -> Self {
        Self { tracker: Tracker::new(rules), now: Instant::now(), frame: 0, changes: Vec::new() }
    }

    fn show(&mut self, faces: Vec<Observation>) {
        let changes = self.tracker.frame(self.now, self.frame, 1, faces, &ByLogits);
        self.note(&changes);
    }

    fn follow(&mut self, follow: impl FnMut(&BoundingBox) -> Option<BoundingBox>) {
        let changes = self.tracker.follow(self.now, follow);
        self.note(&changes);
    }

    fn note(&mut self, changes: &[Change]) {
        let frame = self.frame;
        self.changes.extend(texts(changes).into_iter().map(|text| format!("{frame}: {text}")));
        self.frame += 1;
        self.now += Duration::from_millis(100);
    }

    fn finish(mut self) -> Vec<String> {
        let changes = self.tracker.finish();
        self.changes.extend(texts(&changes).into_iter().map(|text| format!("end: {text}")));
        self.changes
    }
}

#[test]
fn a_person_starts_within_the_window_and_ends_once() {
    let mut film = Film::new();
    for _ in 0..9 {
        film.show(vec![face(0.0, ANN)]);
    }
    for _ in 0..30 {
        film.show(vec![]);
    }
    assert_eq!(film.finish(), ["1: +ann 1", "28: -ann 1"]);
}

#[test]
fn people_who_cross_keep_their_names() {
    let mut film = Film::new();
    for step in 0..20 {
        let x = 30.0 * step as f32;
        film.show(vec![face(x, ANN), face(600.0 - x, BOB)]);
    }
    let ids: Vec<_> = film.tracker.tracks.iter().map(|track| track.evidence.name()).collect();
    assert_eq!(ids.iter().flatten().count(), 2);
    assert_eq!(film.finish(), ["1: +ann 1", "1: +bob 2", "end: -ann 1", "end: -bob 2"]);
}

#[test]
fn who_passes_behind_another_comes_out_with_the_same_visit() {
    let mut film = Film::new();
    for step in 0..20 {
        let mut faces = vec![face(250.0, ANN)];
        let x = 30.0 * step as f32;
        if (x - 250.0).abs() > 80.0 {
            faces.push(face(x, BOB));
        }
        film.show(faces);
    }
    assert_eq!(film.finish(), ["1: +ann 1", "1: +bob 2", "end: -ann 1", "end: -bob 2"]);
}

#[test]
fn a_stranger_who_takes_the_place_does_not_take_the_name() {
    let mut film = Film::new();
    for _ in 0..5 {
        film.show(vec![face(0.0, ANN)]);
    }
    for _ in 0..40 {
        film.show(vec![face(0.0, STRANGER)]);
    }
    assert_eq!(film.finish(), ["1: +ann 1", "24: -ann 1"]);
}

#[test]
fn a_face_that_blurs_and_turns_keeps_its_name_while_it_is_followed() {
    let mut film = Film::new();
    for _ in 0..3 {
        film.show(vec![face(0.0, ANN)]);
    }
    for step in 0..40 {
        film.show(vec![face(10.0 * step as f32, None)]);
    }
    assert_eq!(film.finish(), ["1: +ann 1", "end: -ann 1"]);
}

#[test]
fn the_surer_of_two_faces_with_one_name_has_it() {
    let mut film = Film::new();
    for _ in 0..5 {
        film.show(vec![face(0.0, Some([0.85, 0.0])), face(400.0, ANN)]);
    }
    let shown = film.tracker.tracks.iter().find(|track| track.visit == Some(1)).unwrap();
    assert_eq!(shown.bounds.x, 400.0);
    assert_eq!(film.finish(), ["1: +ann 1", "end: -ann 1"]);
}

#[test]
fn a_followed_face_stays_and_an_unfollowed_one_goes() {
    let mut film = Film::new();
    for _ in 0..3 {
        film.show(vec![face(0.0, ANN)]);
    }
    for _ in 0..30 {
        film.follow(|bounds| Some(BoundingBox { x: bounds.x + 9.0, ..*bounds }));
    }
    assert_eq!(film.changes, ["1: +ann 1"]);
    film.show(vec![face(280.0, None)]);
    for _ in 0..30 {
        film.follow(|_| None);
    }
    assert_eq!(film.finish(), ["1: +ann 1", "53: -ann 1"]);
}

#[test]
fn what_was_behind_a_face_that_has_gone_is_not_followed() {
    for is_looked_at in [true, false] {
        let mut film = Film::new();
        for _ in 0..3 {
            film.show(vec![face(0.0, ANN)]);
        }
        match is_looked_at {
            true => film.show(vec![]),
            false => film.follow(|_| None),
        }
        for _ in 0..30 {
            film.follow(|bounds| Some(*bounds));
        }
        assert_eq!(film.finish(), ["1: +ann 1", "22: -ann 1"]);
    }
}

#[test]
fn faces_are_found_without_embeddings_too() {
    let mut film = Film::new();
    for step in 0..20 {
        let x = 30.0 * step as f32;
        let mut faces = vec![face(x, ANN), face(x + 300.0, BOB)];
        for observation in &mut faces {
            observation.features.as_mut().unwrap().embedding.clear();
        }
        film.show(faces);
    }
    assert_eq!(film.finish(), ["1: +ann 1", "1: +bob 2", "end: -ann 1", "end: -bob 2"]);
}

#[test]
fn strangers_change_nothing() {
    let mut film = Film::new();
    for _ in 0..30 {
        film.show(vec![face(0.0, STRANGER)]);
    }
    assert!(film.finish().is_empty());
}

#[test]
fn without_patience_the_first_frame_without_a_person_is_the_end() {
    let mut film = Film::with(VisitRules { confirm_frames: 1, absence: Duration::ZERO, ..RULES });
    for faces in [vec![face(0.0, ANN)], vec![face(0.0, ANN)], vec![]] {
        film.show(faces);
    }
    assert_eq!(film.finish(), ["0: +ann 1", "2: -ann 1"]);
}

/// A film in which strangers come and go too.
fn with_strangers() -> Film {
    Film::with(VisitRules { with_strangers: true, ..RULES })
}

#[test]
fn a_stranger_comes_once_and_goes_once_where_that_is_wanted() {
    let mut film = with_strangers();
    for _ in 0..9 {
        film.show(vec![face(0.0, STRANGER)]);
    }
    // Out of sight for less than the absence, and then for more.
    for _ in 0..9 {
        film.show(vec![]);
    }
    for _ in 0..9 {
        film.show(vec![face(0.0, STRANGER)]);
    }
    for _ in 0..30 {
        film.show(vec![]);
    }
    assert_eq!(film.finish(), ["4: +? 1", "46: -? 1"]);
}

#[test]
fn a_stranger_who_gets_a_name_is_the_same_visit() {
    let mut film = with_strangers();
    for _ in 0..6 {
        film.show(vec![face(0.0, Some([0.7, 0.0]))]);
    }
    for _ in 0..20 {
        film.show(vec![face(0.0, ANN)]);
    }
    let changes = film.finish();
    assert_eq!(changes[0], "4: +? 1");
    assert!(changes[1].ends_with(": ~?>ann 1"), "{changes:?}");
    assert_eq!(changes[2..], ["end: -ann 1"]);
}

#[test]
fn somebody_with_a_name_is_no_stranger_nor_is_a_face_that_shows_too_little() {
    let mut film = with_strangers();
    for _ in 0..20 {
        film.show(vec![face(0.0, ANN), face(400.0, None)]);
    }
    assert_eq!(film.finish(), ["1: +ann 1", "end: -ann 1"]);
}

#[test]
fn strangers_beside_each_other_have_visits_of_their_own() {
    let mut film = with_strangers();
    let other = Some([0.1, -0.6]);
    for step in 0..12 {
        let mut faces = vec![face(0.0, STRANGER)];
        if step < 6 {
            faces.push(face(400.0, other));
        }
        film.show(faces);
    }
    for _ in 0..16 {
        film.show(vec![face(0.0, STRANGER)]);
    }
    assert_eq!(film.finish(), ["4: +? 1", "4: +? 2", "25: -? 2", "end: -? 1"]);
}

#[test]
fn a_stranger_in_the_place_of_somebody_known_comes_while_they_go() {
    let mut film = with_strangers();
    for _ in 0..5 {
        film.show(vec![face(0.0, ANN)]);
    }
    for _ in 0..40 {
        film.show(vec![face(0.0, STRANGER)]);
    }
    assert_eq!(film.finish(), ["1: +ann 1", "9: +? 2", "24: -ann 1", "end: -? 2"]);
}

/// Who is there after the last frame: number, identifier, whether since the first frame, and the left
/// edge of the face where it is shown.
fn scene(film: &Film) -> Vec<(u64, String, u64, Option<f32>)> {
    let scene = film.tracker.scene(film.now);
    let told = |presence: &Presence<'_>| {
        let id = presence.name.map_or_else(|reason| reason.name().to_owned(), |it| it.id.clone());
        let age = film.now - presence.since;
        let x = presence.bounds.map(|bounds| bounds.x);
        (presence.visit, id, age.as_millis() as u64, x)
    };
    scene.visits.iter().map(told).collect()
}

#[test]
fn the_scene_is_who_has_come_and_not_gone_and_where() {
    let mut film = with_strangers();
    film.show(vec![face(0.0, ANN), face(400.0, STRANGER)]);
    assert_eq!(scene(&film), [], "nobody has come so far");
    for _ in 0..5 {
        film.show(vec![face(0.0, ANN), face(400.0, STRANGER)]);
    }
    let ann = |age, x| (1, "ann".to_owned(), age, x);
    let stranger = |age, x| (2, "below_threshold".to_owned(), age, x);
    assert_eq!(scene(&film), [ann(500, Some(0.0)), stranger(200, Some(400.0))]);
    film.follow(|bounds| (bounds.x < 200.0).then_some(BoundingBox { x: 9.0, ..*bounds }));
    assert_eq!(scene(&film), [ann(600, Some(9.0)), stranger(300, None)]);
    for _ in 0..25 {
        film.show(vec![face(9.0, ANN)]);
    }
    assert_eq!(scene(&film), [ann(3100, Some(9.0))]);
    assert_eq!(film.tracker.scene(film.now).visits[0].confidence, 1.0);
    film.tracker.finish();
    assert_eq!(scene(&film), []);
}

#[test]
fn the_scene_shows_a_person_in_the_surest_track_and_not_who_has_taken_the_place() {
    let mut film = Film::new();
    for _ in 0..5 {
        film.show(vec![face(0.0, Some([0.85, 0.0])), face(400.0, ANN)]);
    }
    assert_eq!(scene(&film), [(1, "ann".to_owned(), 400, Some(400.0))]);
    let mut film = Film::new();
    for _ in 0..5 {
        film.show(vec![face(0.0, ANN)]);
    }
    // Alike enough to be taken for the same face, and too little for the name.
    while film.tracker.tracks[0].evidence.name().is_some() {
        film.show(vec![face(0.0, Some([0.2, 0.1]))]);
    }
    assert_eq!(film.tracker.tracks.len(), 1);
    assert_eq!(scene(&film).len(), 1, "the visit is not over");
    assert_eq!(scene(&film)[0].3, None);
}
