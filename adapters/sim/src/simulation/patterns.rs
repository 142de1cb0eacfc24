//! The patterns with the simulated platform filled in.

use super::sim::Sim;

aplomb::bind!(Sim, in "aplomb_sim", main "# aplomb_sim::block_on(async {" to "# });");
