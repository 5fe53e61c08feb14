export function WalkScreen() { return <p>walk</p>; }
