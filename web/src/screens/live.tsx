export function LiveScreen() { return <p>live</p>; }
