//! Shapes and their sizes.

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

impl Point {
    /// How far it is to another point.
    pub fn distance(&self, other: &Point) -> f64 {
        let dx = self.x - other.x;
        let dy = self.y - other.y;
        (dx * dx + dy * dy).sqrt()
    }
}

pub enum Shape {
    Circle { center: Point, radius: f64 },
    Rectangle { corner: Point, width: f64, height: f64 },
}

impl Shape {
    /// The area that it covers.
    pub fn area(&self) -> f64 {
        match self {
            Shape::Circle { radius, .. } => std::f64::consts::PI * radius * radius,
            Shape::Rectangle { width, height, .. } => width * height,
        }
    }

    /// The length of its edge.
    pub fn perimeter(&self) -> f64 {
        match self {
            Shape::Circle { radius, .. } => 2.0 * std::f64::consts::PI * radius,
            Shape::Rectangle { width, height, .. } => 2.0 * (width + height),
        }
    }
}
