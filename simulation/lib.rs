//! The simulation is the test target `simulation` of this package.
