export function LimitScreen() { return <p>limit</p>; }
