export function FoundScreen() { return <p>found</p>; }
