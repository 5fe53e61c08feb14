export function OpenScreen() { return <p>open</p>; }
