use aplomb_sim::prelude::*;

fn main() {
    let _late = timeout(ms(1), std::future::pending::<u8>());
}
