//! Which face of each photo of a folder is the person's: the one who is in most of the photos.

use super::{Shot, mean};
use crate::defaults;
use crate::types::embedding::unit_cosine;
use crate::types::identity::Features;

/// Lead in cosine of the face that fits best over another that fits as well, from which on it is
/// clear which of them is the person's.
const CLEAR_LEAD: f32 = 0.1;

/// Times that the person's faces are looked for anew by the mean of those that were found.
const ROUNDS: usize = 3;

/// A face by the numbers of its photo and of the face in it.
type Place = (usize, usize);

/// What sifting some photos of one person gives; photos by number.
#[derive(Debug, Default, PartialEq)]
pub struct Sifted {
    /// The person's face, photo by photo.
    pub taken: Vec<Place>,
    /// Photos that are as good as copies: number, and number of the one that counts.
    pub copies: Vec<(usize, usize)>,
    /// Photos of one face, somebody else's: number, and cosine to the mean of those that were taken.
    pub others: Vec<(usize, f32)>,
    /// Photos of several faces of which none clearly is the person's.
    pub unclear: Vec<usize>,
}

/// Two people who are in equally many of the photos, those of either.
#[derive(Debug, PartialEq)]
pub struct Torn {
    /// Photos of the one.
    pub first: Vec<usize>,
    /// Photos of the other.
    pub second: Vec<usize>,
}

/// Finds the person in the `photos`, the faces of each: by the mean embedding of pictures that are
/// `known` to show them, or else, or where that fits no face, as the one who is in most of the photos.
/// Faces of one person have at least the cosine `same`.
///
/// # Errors
///
/// [`Torn`] when nobody is in most of the photos.
pub fn sift(photos: &[Vec<Shot>], known: Option<&[f32]>, same: f32) -> Result<Sifted, Torn> {
    let mut sifted = Sifted::default();
    let mut photos = Photos { faces: photos, kept: Vec::new(), same };
    sifted.copies = photos.leave_out_copies();
    let like_known = known.map(|known| photos.best_faces(&[], |_| Some(known.to_vec())));
    // Where nobody is like the one who is known, it shows who the photos are of.
    let known = known.filter(|_| like_known.as_ref().is_some_and(|found| !found.is_empty()));
    let person = match (known, like_known) {
        (Some(_), Some(found)) => found,
        _ => photos.in_most(&[]),
    };
    let rival = if known.is_none() { photos.in_most(&person) } else { Vec::new() };
    if known.is_none() && photos.kept.len() > 1 && photos.rivals(&person, &rival) {
        let numbers = |faces: &[Place]| faces.iter().map(|place| place.0).collect();
        return Err(Torn { first: numbers(&person), second: numbers(&rival) });
    }
    for &photo in &photos.kept {
        let to = |number| known.map_or_else(|| photos.mean_but(&person, number), <[f32]>::to_vec);
        let found = person.iter().find(|place| place.0 == photo);
        match (found, photos.faces[photo].len()) {
            (Some(&place), _) if photos.is_clear(place, &to(photo)) => sifted.taken.push(place),
            (None, 1) => {
                sifted.others.push((photo, unit_cosine(&to(photo), photos.embedding((photo, 0)))));
            }
            _ => sifted.unclear.push(photo),
        }
    }
    Ok(sifted)
}

struct Photos<'a> {
    faces: &'a [Vec<Shot>],
    /// Those that are no copies and have faces.
    kept: Vec<usize>,
    same: f32,
}

impl Photos<'_> {
    fn embedding(&self, (photo, face): Place) -> &[f32] {
        &self.faces[photo][face].features.embedding
    }

    fn places(&self, photo: usize) -> impl Iterator<Item = Place> {
        (0..self.faces[photo].len()).map(move |face| (photo, face))
    }

    /// Keeps one photo of those that share a picture of a face, with as few other faces as may be.
    fn leave_out_copies(&mut self) -> Vec<(usize, usize)> {
        let mut order: Vec<usize> =
            (0..self.faces.len()).filter(|&photo| !self.faces[photo].is_empty()).collect();
        order.sort_by_key(|&photo| self.faces[photo].len());
        let mut copies = Vec::new();
        for photo in order {
            let shares = |other: usize| {
                self.places(photo).any(|face| {
                    let face = self.embedding(face);
                    self.places(other).any(|other| {
                        unit_cosine(face, self.embedding(other)) > defaults::SAME_PICTURE_COSINE
                    })
                })
            };
            match self.kept.iter().find(|&&other| shares(other)) {
                Some(&other) => copies.push((photo, other)),
                None => self.kept.push(photo),
            }
        }
        self.kept.sort_unstable();
        copies.sort_unstable();
        copies
    }

    /// In each photo the face most like the embedding that `wanted` gives for the photo, if it is alike
    /// enough and none of `taken`.
    fn best_faces(
        &self,
        taken: &[Place],
        wanted: impl Fn(usize) -> Option<Vec<f32>>,
    ) -> Vec<Place> {
        let best = |&photo: &usize| {
            let wanted = wanted(photo)?;
            let free = self.places(photo).filter(|place| !taken.contains(place));
            let likeness = free.map(|place| (place, unit_cosine(&wanted, self.embedding(place))));
            let (place, cosine) = likeness.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
            (cosine >= self.same).then_some(place)
        };
        self.kept.iter().filter_map(best).collect()
    }

    /// The faces of the person who is in most of the photos, those `taken` left out.
    fn in_most(&self, taken: &[Place]) -> Vec<Place> {
        let faces = self.kept.iter().flat_map(|&photo| self.places(photo));
        let like = |seed: Place| {
            let found = self.best_faces(taken, |_| Some(self.embedding(seed).to_vec()));
            let alike: f32 = found
                .iter()
                .map(|&place| unit_cosine(self.embedding(seed), self.embedding(place)))
                .sum();
            (found, alike)
        };
        let seeds = faces.filter(|place| !taken.contains(place)).map(like);
        let most = seeds.max_by(|(a, alike_a), (b, alike_b)| {
            // Of equals the first.
            a.len().cmp(&b.len()).then(alike_a.total_cmp(alike_b)).then(std::cmp::Ordering::Greater)
        });
        let Some((mut person, _)) = most else { return Vec::new() };
        for _ in 0..ROUNDS {
            let found = self.best_faces(taken, |photo| {
                let others = person.iter().any(|place| place.0 != photo);
                match person.iter().find(|place| place.0 == photo) {
                    Some(&alone) if !others => Some(self.embedding(alone).to_vec()),
                    _ => Some(self.mean_but(&person, photo)),
                }
            });
            // Faces that are alike in pairs only are unlike the means of the others: they stay as they are.
            if found.len() < 2 {
                break;
            }
            person = found;
        }
        person
    }

    /// Whether a second group of faces may as well be the person's: it is in as many photos, and not
    /// of faces that are alike by chance, which is far less.
    fn rivals(&self, person: &[Place], rival: &[Place]) -> bool {
        let apart = person.len() > 1 && 2.0 * self.likeness(rival) < self.likeness(person);
        rival.len() >= person.len() && !apart
    }

    /// Mean cosine between two of some faces.
    fn likeness(&self, faces: &[Place]) -> f32 {
        let pairs = faces
            .iter()
            .enumerate()
            .flat_map(|(at, &one)| faces[..at].iter().map(move |&other| (one, other)));
        let cosines: Vec<f32> =
            pairs.map(|(a, b)| unit_cosine(self.embedding(a), self.embedding(b))).collect();
        cosines.iter().sum::<f32>() / cosines.len().max(1) as f32
    }

    /// The mean of some faces but for those of one photo.
    fn mean_but(&self, faces: &[Place], photo: usize) -> Vec<f32> {
        let features = |&(photo, face): &Place| &self.faces[photo][face].features;
        let others: Vec<&Features> =
            faces.iter().filter(|place| place.0 != photo).map(features).collect();
        mean(others).embedding
    }

    /// Whether no other face of the photo fits the embedding `wanted` as well, but for another picture of the
    /// same person.
    fn is_clear(&self, place: Place, wanted: &[f32]) -> bool {
        let best = self.embedding(place);
        let rivals = self.places(place.0).filter(|&other| other != place);
        let mut rivals = rivals.map(|other| self.embedding(other));
        let fit = unit_cosine(wanted, best);
        self.faces[place.0].len() == 1
            || (!wanted.is_empty()
                && rivals.all(|rival| {
                    let fits = unit_cosine(wanted, rival);
                    fits < self.same
                        || fit - fits >= CLEAR_LEAD
                        || unit_cosine(best, rival) >= self.same
                }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::face;
    use super::*;

    fn shot(embedding: [f32; 3]) -> Shot {
        Shot { features: face(embedding), turn: Some(0.0) }
    }

    /// The person, from a little to one side or the other.
    fn person(turn: f32) -> Shot {
        shot([1.0, turn, 0.0])
    }

    /// Somebody else, turned as little.
    fn other(turn: f32) -> Shot {
        shot([-0.1, turn, 1.0])
    }

    fn sifted(photos: &[Vec<Shot>]) -> Sifted {
        sift(photos, None, 0.2).expect("somebody is in most of the photos")
    }

    #[test]
    fn copies_count_once_and_no_photos_are_none() {
        let copies = [vec![person(0.0)], vec![person(0.5)], vec![person(0.01)]];
        let found = sifted(&copies);
        assert_eq!((found.taken, found.copies), (vec![(0, 0), (1, 0)], vec![(2, 0)]));
        let crowd = [vec![other(0.0), person(0.0)], vec![person(0.01)], vec![person(0.5)]];
        let found = sifted(&crowd);
        assert_eq!((found.taken, found.copies), (vec![(1, 0), (2, 0)], vec![(0, 1)]));
        assert_eq!(sifted(&[]), Sifted::default());
        assert_eq!(sifted(&copies[..1]).taken, [(0, 0)]);
        assert_eq!(sifted(&[copies[0].clone(), copies[2].clone()]).taken, [(0, 0)]);
    }

    #[test]
    fn a_stranger_among_the_photos_is_found() {
        let photos =
            [vec![person(0.4)], vec![other(0.0)], vec![person(-0.4)], vec![shot([1.0, 0.0, 0.4])]];
        let found = sifted(&photos);
        assert_eq!(found.taken, [(0, 0), (2, 0), (3, 0)]);
        assert_eq!(found.others.len(), 1);
        assert_eq!(found.others[0].0, 1);
    }

    #[test]
    fn of_several_faces_the_one_that_fits_the_other_photos_is_taken() {
        let photos = [
            vec![other(0.0), person(0.4)],
            vec![person(-0.4)],
            vec![shot([0.0, -1.0, 0.0]), person(0.0)],
            vec![other(0.5), shot([0.0, -1.0, -1.0])],
        ];
        let found = sifted(&photos);
        assert_eq!(found.taken, [(0, 1), (1, 0), (2, 1)]);
        assert_eq!(found.unclear, [3]);
        // Also where nobody is ever alone.
        let found = sifted(&[photos[0].clone(), photos[2].clone()]);
        assert_eq!(found.taken, [(0, 1), (1, 1)]);
    }

    #[test]
    fn two_people_in_equally_many_photos_are_torn_between() {
        let couple = [vec![other(0.0), person(0.4)], vec![person(-0.4), other(0.5)]];
        let torn = Torn { first: vec![0, 1], second: vec![0, 1] };
        assert_eq!(sift(&couple, None, 0.2), Err(torn));
        let apart = [vec![person(0.3)], vec![other(0.4)], vec![person(-0.3)], vec![other(-0.4)]];
        let torn = sift(&apart, None, 0.2).expect_err("two of each");
        assert_eq!((torn.first, torn.second), (vec![0, 2], vec![1, 3]));
        let alone = [&couple[..], &[vec![other(-0.5)]]].concat();
        assert_eq!(sifted(&alone).taken, [(0, 0), (1, 1), (2, 0)]);
    }

    #[test]
    fn bystanders_who_are_alike_by_chance_are_no_rivals() {
        let bystanders = [shot([0.0, 1.0, 0.0]), shot([0.3, 0.3, 1.0])];
        let likeness =
            |a: &Shot, b: &Shot| unit_cosine(&a.features.embedding, &b.features.embedding);
        assert!((0.2..0.4).contains(&likeness(&bystanders[0], &bystanders[1])));
        let [one, other] = bystanders;
        let photos = [vec![one, shot([1.0, 0.0, -0.3])], vec![other, shot([1.0, -0.6, -0.4])]];
        assert_eq!(sifted(&photos).taken, [(0, 1), (1, 1)]);
    }

    #[test]
    fn a_photo_of_several_faces_alone_is_unclear_unless_the_person_is_known() {
        let photo = [vec![other(0.0), person(0.3)]];
        assert_eq!(sifted(&photo).unclear, [0]);
        let known = sift(&photo, Some(&person(0.0).features.embedding), 0.2);
        assert_eq!(known.expect("the person is known").taken, [(0, 1)]);
        let photos = [vec![other(0.0)], vec![person(0.3)]];
        let known = sift(&photos, Some(&person(0.0).features.embedding), 0.2);
        assert_eq!(known.expect("the person is known").others.len(), 1);
        let known = sift(&photos[..1], Some(&person(0.0).features.embedding), 0.2);
        assert_eq!(known.expect("one face").taken, [(0, 0)], "somebody else altogether");
    }

    #[test]
    fn faces_that_fit_alike_are_unclear_unless_they_are_one_persons() {
        let alone = [vec![person(0.4)], vec![person(-0.4)]];
        let brothers = vec![shot([0.5, 0.85, 0.0]), shot([0.5, -0.85, 0.0])];
        let found = sifted(&[&alone[..], &[brothers]].concat());
        assert_eq!((found.taken.len(), found.unclear), (2, vec![2]));
        let collage = vec![shot([1.0, 0.0, 0.5]), shot([1.0, 0.0, 0.8])];
        assert_eq!(sifted(&[&alone[..], &[collage]].concat()).taken.len(), 3);
    }
}
