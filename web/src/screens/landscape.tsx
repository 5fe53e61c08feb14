export function LandscapeScreen() { return <p>landscape</p>; }
