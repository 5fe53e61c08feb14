export function ManyScreen() { return <p>many</p>; }
